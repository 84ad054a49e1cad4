// The pattern of the W3C text (WebRTC §10.7), and changes made at random. The function runs inside the page.

export function negotiator({ seed, polite }) {
  const pc = new RTCPeerConnection();
  const outbox = [];
  let wake = () => {};
  const send = (message) => {
    outbox.push(message);
    wake();
  };
  let over = false;
  globalThis.endMessages = () => {
    over = true;
    wake();
  };
  globalThis.takeMessages = async () => {
    if (outbox.length === 0 && !over) {
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, 1000);
      });
    }
    return outbox.splice(0);
  };

  // Random numbers that a seed repeats.
  let state = seed >>> 0;
  const random = (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) % below;
  };

  const canvas = document.createElement('canvas');
  canvas.width = 160;
  canvas.height = 120;
  const context = canvas.getContext('2d');
  let drawn = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${(drawn += 7) % 360} 80% 50%)`;
    context.fillRect(0, 0, 160, 120);
  }, 100);
  const audio = new AudioContext();
  const makeTrack = (kind) => {
    if (kind === 'video') {
      return canvas.captureStream(10).getVideoTracks()[0];
    }
    const tone = audio.createOscillator();
    const out = audio.createMediaStreamDestination();
    tone.connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  };
  const streams = [new MediaStream(), new MediaStream()];

  let makingOffer = false;
  let ignoreOffer = false;
  let isSettingRemoteAnswerPending = false;
  let rounds = 0;
  let ignored = 0;
  let failure = null;
  const fail = (where) => (error) => {
    failure ??= `${where}: ${error.name}: ${error.message}`;
    console.log(failure);
  };

  pc.onnegotiationneeded = async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      send({ description: pc.localDescription.toJSON() });
    } catch (error) {
      // The peer's offer came first; its answer will ask again.
      if (pc.signalingState === 'stable') {
        fail('negotiationneeded')(error);
      }
    } finally {
      makingOffer = false;
    }
  };
  pc.onicecandidate = ({ candidate }) => candidate && send({ candidate: candidate.toJSON() });
  const echo = ({ channel }) => {
    channel.onmessage = ({ data }) => channel.send(data);
  };
  pc.ondatachannel = echo;

  async function handle({ description, candidate, round, report }) {
    if (description) {
      const readyForOffer =
        !makingOffer && (pc.signalingState === 'stable' || isSettingRemoteAnswerPending);
      const offerCollision = description.type === 'offer' && !readyForOffer;
      ignoreOffer = !polite && offerCollision;
      if (ignoreOffer) {
        ignored += 1;
        return;
      }
      isSettingRemoteAnswerPending = description.type === 'answer';
      await pc.setRemoteDescription(description);
      isSettingRemoteAnswerPending = false;
      if (description.type === 'offer') {
        await pc.setLocalDescription();
        send({ description: pc.localDescription.toJSON() });
      }
    } else if (candidate) {
      try {
        await pc.addIceCandidate(candidate);
      } catch (error) {
        // One of an offer that has been rolled back since may come late.
        const late = !pc.remoteDescription.sdp.includes(candidate.usernameFragment);
        if (!ignoreOffer && !late) {
          throw error;
        }
      }
    } else if (round) {
      rounds += 1;
      change();
    } else if (report) {
      send({ report: await state_() });
    }
  }

  function change() {
    const live = pc.getTransceivers().filter((it) => it.direction !== 'stopped');
    const pick = () => live[random(live.length)];
    const kind = random(2) === 0 ? 'audio' : 'video';
    const choice = random(live.length === 0 ? 2 : 9);
    if (choice === 0 && live.length < 5) {
      const track = makeTrack(kind);
      try {
        pc.addTrack(track, streams[random(2)]);
      } catch {
        // Chromium: "The existing transceiver is stopping."
        pc.addTransceiver(track, { streams: [streams[random(2)]] });
      }
    } else if (choice === 1 && live.length < 5) {
      pc.addTransceiver(makeTrack(kind), { streams: [streams[random(2)]] });
    } else if (choice === 2) {
      pc.removeTrack(pick().sender);
    } else if (choice === 3 || choice === 4) {
      pick().direction = ['sendrecv', 'sendonly', 'recvonly', 'inactive'][random(4)];
    } else if (choice === 5) {
      const it = pick();
      it.sender.replaceTrack(makeTrack(it.receiver.track.kind)).catch(fail('replaceTrack'));
    } else if (choice === 6) {
      pc.restartIce();
    } else if (live.length > 2) {
      // The first section speaks for the group; see the other side of this test. One that was stopped before it was ever
      // agreed on would need negotiation for ever, as the text has it, and in Firefox does.
      const agreed = live.slice(1).filter((it) => it.currentDirection !== null);
      agreed[random(Math.max(agreed.length, 1))]?.stop();
    } else {
      pc.createDataChannel(`page-${rounds}`);
    }
  }

  async function state_() {
    const received = {};
    for (const report of (await pc.getStats()).values()) {
      if (report.type === 'inbound-rtp') {
        received[report.mid] = (received[report.mid] ?? 0) + report.packetsReceived;
      }
    }
    return {
      failure,
      rounds,
      ignored,
      busy: makingOffer,
      signalingState: pc.signalingState,
      connectionState: pc.connectionState,
      received,
      transceivers: pc.getTransceivers().map((it) => ({
        mid: it.mid,
        currentDirection: it.currentDirection,
        sends: it.sender.track?.readyState === 'live',
      })),
    };
  }

  // Messages are handled one after the other, as they came.
  let last = Promise.resolve();
  globalThis.giveMessage = (message) => {
    last = last.then(() => handle(message)).catch(fail(JSON.stringify(message).slice(0, 60)));
  };
}
