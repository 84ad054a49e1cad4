// Functions that run inside the page. Each stands alone: it is sent to the browser as text.

/** The strongest tone in what the remote stream plays: `{ frequency, level }` in Hz and dB. */
export async function loudestTone() {
  const stream = document.getElementById('remote').srcObject;
  const context = (globalThis.checkContext ??= new AudioContext());
  await context.resume();
  const analyser = new AnalyserNode(context, { fftSize: 32_768, smoothingTimeConstant: 0 });
  const source = context.createMediaStreamSource(new MediaStream(stream.getAudioTracks()));
  source.connect(analyser);
  // The analyser needs a whole window of sound, and a little more to be past the connection's first moments.
  const window = analyser.fftSize / context.sampleRate;
  const start = context.currentTime;
  while (context.currentTime < start + 1.5 * window) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  source.disconnect();
  let loudest = 0;
  levels.forEach((level, bin) => {
    if (level > levels[loudest]) {
      loudest = bin;
    }
  });
  const level = Number.isFinite(levels[loudest]) ? levels[loudest] : -200;
  return { frequency: (loudest * context.sampleRate) / analyser.fftSize, level };
}

/**
 * The frame counter of the native side's test card, or null: 40 black or white blocks in 4 rows of 10 over the
 * top quarter of the picture, a 32-bit counter and its CRC-8. `pixels` may be any element that canvas can draw.
 */
export function readCounter(id) {
  const source = document.getElementById(id);
  const width = source.videoWidth ?? source.width;
  const height = source.videoHeight ?? source.height;
  if (!width || !height) {
    return null;
  }
  const canvas = (globalThis.checkCanvas ??= document.createElement('canvas'));
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const bit = (block) => {
    const x = Math.floor((((block % 10) + 0.5) * width) / 10);
    const y = Math.floor(((Math.floor(block / 10) + 0.5) * height) / 16);
    const place = 4 * (y * width + x);
    return data[place] + data[place + 1] + data[place + 2] > 384 ? 1 : 0;
  };
  const byte = (number) => {
    let value = 0;
    for (let place = 0; place < 8; place += 1) {
      value = (value << 1) | bit(8 * number + place);
    }
    return value;
  };
  let crc = 0xff;
  let counter = 0;
  for (let number = 0; number < 4; number += 1) {
    counter = counter * 256 + byte(number);
    crc ^= byte(number);
    for (let place = 0; place < 8; place += 1) {
      crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
    }
  }
  return crc === byte(4) ? counter : null;
}

/** What `getStats()` says of the connection. */
export async function connectionStats() {
  const { connection } = globalThis.callPage;
  const all = [...(await connection.getStats()).values()];
  const pair = all.find((s) => s.type === 'candidate-pair' && (s.nominated || s.selected) && s.state === 'succeeded');
  const inbound = (kind) => all.find((s) => s.type === 'inbound-rtp' && s.kind === kind);
  const outbound = (kind) => all.find((s) => s.type === 'outbound-rtp' && s.kind === kind);
  const codec = (stats) => all.find((s) => s.id === stats?.codecId)?.mimeType;
  return {
    connectionState: connection.connectionState,
    pairSucceeded: pair !== undefined,
    dtlsState: all.find((s) => s.type === 'transport')?.dtlsState,
    tlsVersion: all.find((s) => s.type === 'transport')?.tlsVersion,
    audioCodec: codec(inbound('audio')),
    videoCodec: codec(inbound('video')),
    audioPacketsReceived: inbound('audio')?.packetsReceived ?? 0,
    framesDecoded: inbound('video')?.framesDecoded ?? 0,
    framesSent: outbound('video')?.framesSent ?? outbound('video')?.framesEncoded ?? 0,
  };
}

/** Whether the photo on the canvas is more than one flat colour, and can be saved. */
export function photoState() {
  const canvas = document.getElementById('photo');
  const link = document.getElementById('save-photo');
  if (!canvas.width) {
    return { taken: false };
  }
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let darkest = 255;
  let brightest = 0;
  for (let place = 0; place < data.length; place += 4) {
    darkest = Math.min(darkest, data[place + 1]);
    brightest = Math.max(brightest, data[place + 1]);
  }
  return {
    taken: brightest - darkest > 40,
    width: canvas.width,
    height: canvas.height,
    saveable: !link.hidden && link.href.startsWith('blob:') && link.download.endsWith('.png'),
  };
}

/**
 * Gives the page a test card and a tone like those of the native peer instead of camera and microphone, so that
 * the checks can be checked with the page on both sides.
 */
export function installSyntheticDevices(tone) {
  const drawCard = (context, counter) => {
    const { width, height } = context.canvas;
    const bytes = [24, 16, 8, 0].map((shift) => (counter >>> shift) & 0xff);
    let crc = 0xff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let place = 0; place < 8; place += 1) {
        crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff;
      }
    }
    context.fillStyle = '#777';
    context.fillRect(0, 0, width, height);
    [...bytes, crc].forEach((byte, number) => {
      for (let place = 0; place < 8; place += 1) {
        const block = 8 * number + place;
        context.fillStyle = byte & (0x80 >> place) ? 'white' : 'black';
        const x = ((block % 10) * width) / 10;
        const y = (Math.floor(block / 10) * height) / 16;
        context.fillRect(x, y, width / 10, height / 16);
      }
    });
  };
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement('canvas');
    canvas.width = 640;
    canvas.height = 480;
    const context = canvas.getContext('2d');
    let counter = 0;
    drawCard(context, counter);
    setInterval(() => drawCard(context, (counter += 1)), 33);
    const audio = new AudioContext();
    await audio.resume();
    const oscillator = new OscillatorNode(audio, { frequency: tone });
    const destination = audio.createMediaStreamDestination();
    oscillator.connect(destination);
    oscillator.start();
    return new MediaStream([...canvas.captureStream(30).getTracks(), ...destination.stream.getTracks()]);
  };
}
