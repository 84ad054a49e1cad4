// A browser's half of the checks of network paths. Each line that comes in is an order as JSON, each line that goes out its
// result:
//
//   {"answer": sdp, "configuration": {..}}   a new connection answers; it echoes on every channel
//   {"reanswer": sdp}                        the same connection answers again
//   {"restart": true}                        an offer with new ICE credentials
//   {"take": sdp}                            the answer to it
//   {"pictures": true}                       how many pictures have been decoded
//
// When video is offered, it sends a changing picture and shows what comes.
//
//   node paths.mjs --browser chromium|firefox

import { parseArgs } from 'node:util';
import { createInterface } from 'node:readline';
import { launch } from './browsers.mjs';

const { values: options } = parseArgs({ options: { browser: { type: 'string', default: 'chromium' } } });

/** Carries an order out. Runs inside the page. */
async function obey(order) {
  const gathered = async (pc) => {
    while (pc.iceGatheringState !== 'complete') {
      await new Promise((resolve) => pc.addEventListener('icegatheringstatechange', resolve, { once: true }));
    }
    return pc.localDescription.sdp;
  };
  if (order.answer) {
    globalThis.pc = new RTCPeerConnection(order.configuration);
    globalThis.pc.ondatachannel = ({ channel }) => {
      channel.onmessage = ({ data }) => channel.send(data);
    };
  }
  const { pc } = globalThis;
  const startVideo = async () => {
    const transceiver = pc.getTransceivers().find(({ receiver, sender }) => receiver.track.kind === 'video' && !sender.track);
    if (!transceiver) {
      return;
    }
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [160, 120];
    const context = canvas.getContext('2d');
    let drawn = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${(drawn += 7) % 360} 80% 50%)`;
      context.fillRect(0, 0, 160, 120);
    }, 50);
    await transceiver.sender.replaceTrack(canvas.captureStream(20).getVideoTracks()[0]);
    transceiver.direction = 'sendrecv';
    const screen = document.createElement('video');
    Object.assign(screen, { muted: true, autoplay: true, srcObject: new MediaStream([transceiver.receiver.track]) });
    document.body.append(screen);
  };
  const offer = order.answer ?? order.reanswer;
  if (offer) {
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    await startVideo();
    await pc.setLocalDescription();
    return gathered(pc);
  }
  if (order.restart) {
    pc.restartIce();
    await pc.setLocalDescription();
    return gathered(pc);
  }
  if (order.pictures) {
    const reports = [...(await pc.getStats()).values()];
    return String(reports.reduce((sum, { type, framesDecoded }) => sum + (type === 'inbound-rtp' ? framesDecoded ?? 0 : 0), 0));
  }
  await pc.setRemoteDescription({ type: 'answer', sdp: order.take });
  return pc.connectionState;
}

const browser = await launch(options.browser);
try {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(`page error: ${error.message}`));
  console.log(JSON.stringify(await browser.version()));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await page.evaluate(obey, JSON.parse(line))));
  }
} finally {
  await browser.close().catch(() => {});
}
process.exit(0);
