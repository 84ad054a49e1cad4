// The data channel: the echo, and the test of one.

const MESSAGES = 1_000;
const LARGEST = 64 * 1024;
/** More than this waiting in the channel, and the test pauses. */
const ENOUGH_BUFFERED = 1024 * 1024;
/** No echo for this long, and the test has failed. */
const PATIENCE = 20_000;

/** The sizes 1 B and 64 KiB, and a spread between them that is the same in each run. */
export function sizeOf(number) {
  if (number < 2) {
    return number === 0 ? 1 : LARGEST;
  }
  // Steps of a number with no factor in common visit the range evenly.
  return 1 + ((number * 40_503) % LARGEST);
}

/** A message that differs from all others in content as well as in size. */
export function contentOf(number) {
  const bytes = new Uint8Array(sizeOf(number));
  let state = (number + 1) * 2_654_435_761;
  for (let place = 0; place < bytes.length; place += 1) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[place] = state;
  }
  return bytes;
}

/**
 * Sends 1,000 messages and compares what comes back. `onprogress` hears how many came back. Resolves with
 * `{ messages, bytes, seconds }`, or rejects with an `Error` in words.
 */
export async function echoTest(channel, onprogress = () => {}) {
  const started = performance.now();
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = ENOUGH_BUFFERED / 2;
  const cleanup = new AbortController();
  const { signal } = cleanup;
  let bytes = 0;
  let returned = 0;

  const allReturned = new Promise((resolve, reject) => {
    let silence;
    const fail = (text) => {
      clearTimeout(silence);
      reject(new Error(text));
    };
    const wait = () => {
      clearTimeout(silence);
      silence = setTimeout(() => fail(`no echo of message ${returned} for 20 s`), PATIENCE);
    };
    wait();
    const received = ({ data }) => {
      if (typeof data === 'string') {
        return;
      }
      const expected = contentOf(returned);
      const echo = new Uint8Array(data);
      if (!same(echo, expected)) {
        fail(`message ${returned} of ${expected.length} B came back as ${echo.length} B that differ`);
        return;
      }
      bytes += echo.length;
      returned += 1;
      onprogress(returned);
      if (returned === MESSAGES) {
        clearTimeout(silence);
        resolve();
      } else {
        wait();
      }
    };
    channel.addEventListener('message', received, { signal });
    channel.addEventListener('close', () => fail('the data channel closed'), { signal });
  });

  const allSent = (async () => {
    for (let number = 0; number < MESSAGES; number += 1) {
      if (channel.bufferedAmount > ENOUGH_BUFFERED) {
        await new Promise((resolve) => {
          channel.addEventListener('bufferedamountlow', resolve, { once: true, signal });
        });
      }
      channel.send(contentOf(number));
    }
  })();

  try {
    // A failure of either ends the test.
    await Promise.all([allReturned, allSent]);
  } finally {
    cleanup.abort();
  }
  return { messages: MESSAGES, bytes, seconds: (performance.now() - started) / 1000 };
}

/** Sends back whatever comes on a channel, as fast as the channel takes it. */
export function echo(channel) {
  const waiting = [];
  const send = () => {
    while (waiting.length > 0 && channel.readyState === 'open' && channel.bufferedAmount < ENOUGH_BUFFERED) {
      channel.send(waiting.shift());
    }
  };
  channel.bufferedAmountLowThreshold = ENOUGH_BUFFERED / 2;
  channel.addEventListener('bufferedamountlow', send);
  channel.addEventListener('message', ({ data }) => {
    waiting.push(data);
    send();
  });
}

function same(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}
