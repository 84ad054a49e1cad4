// A browser's half of the data-channel check: a line with the offer comes in, a line with the answer goes out, and at
// the end a line with what the page has counted.
//
//   node channels.mjs --browser chromium|firefox --messages N

import { parseArgs } from 'node:util';
import { createInterface } from 'node:readline';
import { launch } from './browsers.mjs';

const { values: options } = parseArgs({
  options: {
    browser: { type: 'string', default: 'chromium' },
    messages: { type: 'string', default: '16384' },
  },
});

/** Answers, opens channels of every kind, echoes on all of them, then takes and sends the bulk. Runs inside the page. */
function answer({ offer, kinds, messages }) {
  const WORDS = 16384;
  const pc = new RTCPeerConnection();
  const wrong = [];
  let echoes = 0;

  const sum = (hash, buffer) => {
    for (const word of new Uint32Array(buffer)) {
      hash = Math.imul(hash, 16777619) ^ word;
    }
    return hash >>> 0;
  };
  const numbered = (number) => {
    const words = new Uint32Array(WORDS);
    let state = (number + 1) >>> 0;
    for (let index = 0; index < WORDS; index += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words[index] = state;
    }
    return words.buffer;
  };

  const sendBulk = async (channel) => {
    channel.bufferedAmountLowThreshold = 1 << 20;
    let hash = 0;
    for (let number = 0; number < messages; number += 1) {
      const buffer = numbered(number);
      hash = sum(hash, buffer);
      if (channel.bufferedAmount > 4 << 20) {
        await new Promise((resolve) => {
          channel.onbufferedamountlow = resolve;
        });
      }
      channel.send(buffer);
    }
    return hash;
  };

  const bulk = (channel) => {
    channel.binaryType = 'arraybuffer';
    let received = 0;
    let hash = 0;
    globalThis.counted = new Promise((resolve) => {
      channel.onmessage = async ({ data }) => {
        hash = sum(hash, data);
        received += 1;
        if (received === messages) {
          const sent = await sendBulk(channel);
          resolve({ wrong, echoes, received, hash, sent });
        }
      };
    });
  };

  const echo = (channel) => {
    // The label says what the channel should be: "name ordered retransmits lifetime".
    const is = [channel.ordered, channel.maxRetransmits, channel.maxPacketLifeTime].join(' ');
    if (is !== channel.label.split(' ').slice(1).join(' ')) {
      wrong.push(`${channel.label} is ${is}`);
    }
    channel.onmessage = ({ data }) => {
      echoes += 1;
      channel.send(data);
    };
  };

  pc.ondatachannel = ({ channel }) => (channel.label === 'bulk' ? bulk(channel) : echo(channel));
  return (async () => {
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    for (const [index, init] of kinds.entries()) {
      const label = [`page${index}`, init.ordered, init.maxRetransmits ?? null, init.maxPacketLifeTime ?? null];
      echo(pc.createDataChannel(label.map((part) => part ?? '').join(' '), init));
    }
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== 'complete') {
      await new Promise((resolve) => pc.addEventListener('icegatheringstatechange', resolve, { once: true }));
    }
    return pc.localDescription.sdp;
  })();
}

const browser = await launch(options.browser);
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.error(`console: ${message.text()}`));
  page.on('pageerror', (error) => console.error(`page error: ${error.message}`));
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { offer, kinds } = JSON.parse((await lines.next()).value);
  const sdp = await page.evaluate(answer, { offer, kinds, messages: Number(options.messages) });
  console.log(JSON.stringify({ version: await browser.version(), answer: sdp }));
  // Long transfers outlast a single question.
  let result;
  while (!result) {
    result = await page.evaluate(() =>
      Promise.race([globalThis.counted, new Promise((resolve) => setTimeout(resolve, 5000))]),
    );
  }
  console.log(JSON.stringify(result));
  // The other side ends this.
  await lines.next();
} finally {
  await browser.close().catch(() => {});
}
process.exit(0);
