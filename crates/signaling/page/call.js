// The page: buttons in, words and pictures out. Negotiation is in peer.js, rooms are in signalling.js.
//
// Parameters of the address:
//   room=NAME             the room (demo)
//   offer=page|native     who offers: this page (default), or the side that is no page
//   echo                  sends back every message, as the native peer does

import { echo, echoTest } from './channel.js';
import { Peer } from './peer.js';
import { Signalling } from './signalling.js';

const parameters = new URLSearchParams(location.search);
const weOffer = parameters.get('offer') !== 'native';
const weEcho = parameters.has('echo');

const element = (id) => document.getElementById(id);
element('room').value = parameters.get('room') ?? 'demo';

let camera = null; // our MediaStream
let call = null; // { signalling, room, peer, channel, statistics }

// What the console and the checks may look at.
globalThis.callPage = {
  get connection() {
    return call?.peer?.connection;
  },
  get channel() {
    return call?.channel;
  },
};

// ---- words ----

function show(state, words) {
  document.body.dataset.state = state;
  element('state').textContent = words;
  const calling = state !== 'idle';
  element('call').disabled = calling;
  element('hang-up').disabled = !calling;
  element('room').disabled = calling;
}

function showError(words) {
  element('error').textContent = words;
  element('error').hidden = words === '';
  if (words) {
    console.warn(words);
  }
}

/** What went wrong with a device, so that the person knows what to do. */
function deviceError(error) {
  const words = {
    NotAllowedError: 'The browser or you did not allow the camera and microphone.',
    NotFoundError: 'No camera or microphone was found.',
    NotReadableError: 'The camera or microphone is in use by another program.',
    OverconstrainedError: 'The camera cannot do what was asked of it.',
  };
  return words[error.name] ?? `The camera did not open: ${error.message}`;
}

// ---- camera and photo ----

async function openCamera() {
  showError('');
  element('open-camera').disabled = true;
  try {
    if (!navigator.mediaDevices) {
      throw new Error('browsers give the camera to https:// and localhost pages only');
    }
    camera = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
    });
  } catch (error) {
    element('open-camera').disabled = false;
    showError(deviceError(error));
    return;
  }
  element('local').srcObject = camera;
  element('open-camera').textContent = 'Camera open';
  if (!call) {
    show('idle', 'The camera is open. Ready to call.');
  }
}

function takePhoto() {
  const video = element(element('photo-of').value);
  if (!video.videoWidth) {
    showError('There is no picture to take a photo of.');
    return;
  }
  showError('');
  const canvas = element('photo');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  element('no-photo').hidden = true;
  canvas.toBlob((image) => {
    const link = element('save-photo');
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(image);
    link.download = `photo-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.png`;
    link.hidden = false;
  }, 'image/png');
}

for (const which of ['local', 'remote']) {
  const video = element(which);
  const showSize = () => {
    const size = video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : '';
    element(`${which}-size`).textContent = size;
    element('take-photo').disabled = !element('local').videoWidth && !element('remote').videoWidth;
  };
  video.addEventListener('resize', showSize);
  video.addEventListener('emptied', showSize);
}

// ---- the call ----

async function startCall() {
  showError('');
  const room = element('room').value.trim();
  if (!room) {
    showError('The room needs a name.');
    return;
  }
  show('waiting', 'Reaching the signalling server…');
  const thisCall = { room };
  call = thisCall;
  try {
    thisCall.signalling = await Signalling.connect();
  } catch (error) {
    endCall('No call.', error.message);
    return;
  }
  if (call !== thisCall) {
    thisCall.signalling.close();
    return;
  }
  const { signalling } = thisCall;
  const on = (name, handler) =>
    signalling.addEventListener(name, ({ detail }) => call === thisCall && handler(...detail));
  on('joined', () => {
    show('waiting', `Waiting for somebody in the room “${room}”…`);
    if (weOffer) {
      // Nobody may be there to hear the offer; whoever comes later hears it again.
      newPeer(true).start();
    }
  });
  on('otherJoin', () => {
    if (document.body.dataset.state === 'connected') {
      return; // A call of two; a third one listens in vain.
    }
    if (call.peer) {
      // The newcomer may or may not have heard our offer; hearing it twice does no harm.
      call.peer.repeatOffer();
    } else if (weOffer) {
      newPeer(false).start();
    }
  });
  on('message', (_, data) => heard(data));
  on('exit', () => theyLeft('They left.'));
  on('full', () => endCall('No call.', `The room “${room}” is full.`));
  on('error', (words) => showError(`The signalling server says: ${words}`));
  on('close', (words) => {
    // An established call does not need the server.
    if (document.body.dataset.state !== 'connected') {
      endCall('The call is over.', `${words[0].toUpperCase()}${words.slice(1)}.`);
    }
  });
  signalling.join(room);
}

function newPeer(polite) {
  call.peer?.close();
  call.channel = null;
  const peer = new Peer({ polite, stream: camera });
  const thisCall = call;
  call.peer = peer;
  const on = (name, handler) =>
    peer.addEventListener(name, ({ detail }) => call === thisCall && call.peer === peer && handler(detail));
  on('send', (data) => call.signalling.message(call.room, data));
  on('failure', (words) => showError(`The negotiation failed: ${words}`));
  on('state', showConnection);
  on('stream', (stream) => {
    const video = element('remote');
    if (video.srcObject !== stream) {
      video.srcObject = stream;
    }
    video.play().catch(() => {}); // Interrupted by a newer stream, which plays.
  });
  on('channel', ({ channel, ours }) => useChannel(channel, ours));
  return peer;
}

function heard(data) {
  if (data?.type === 'bye') {
    theyLeft('They hung up.');
    return;
  }
  const peer = call.peer ?? newPeer(true);
  peer.receive(data ?? {});
}

function showConnection(state) {
  if (state === 'connecting') {
    show('connecting', 'Connecting…');
  } else if (state === 'connected') {
    show('connected', 'Connected.');
    startStatistics();
  } else if (state === 'disconnected') {
    show('connecting', 'The connection is interrupted; trying to get it back…');
  } else if (state === 'failed') {
    endCall('The call is over.', 'There is no way through the network to the other side.');
  }
}

function theyLeft(words) {
  closePeer();
  show('waiting', `${words} Waiting in the room “${call.room}”…`);
}

function hangUp() {
  call?.signalling?.message(call.room, { type: 'bye' });
  call?.signalling?.leave(call.room);
  endCall('You hung up.');
}

function closePeer() {
  clearInterval(call.statistics);
  call.peer?.close();
  call.peer = null;
  call.channel = null;
  element('remote').srcObject = null;
  showChannel('no data channel', false);
  for (const number of document.querySelectorAll('#numbers dd')) {
    number.textContent = '–';
  }
}

function endCall(words, errorWords = '') {
  closePeer();
  call.signalling?.close();
  call = null;
  show('idle', words);
  showError(errorWords);
}

// ---- messages ----

function useChannel(channel, ours) {
  channel.binaryType = 'arraybuffer';
  if (ours) {
    call.channel = channel;
    channel.addEventListener('open', () => showChannel('open', true));
    channel.addEventListener('close', () => showChannel('closed', false));
  }
  if (weEcho) {
    echo(channel);
  }
  channel.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') {
      log('them', data);
    }
  });
}

function showChannel(words, open) {
  element('channel-state').textContent = words;
  for (const id of ['message', 'send', 'echo-test']) {
    element(id).disabled = !open;
  }
}

function log(from, text) {
  const item = document.createElement('li');
  item.dataset.from = from;
  item.textContent = text;
  const list = element('log');
  list.append(item);
  while (list.childElementCount > 200) {
    list.firstElementChild.remove();
  }
  list.scrollTop = list.scrollHeight;
}

function sendMessage(event) {
  event.preventDefault();
  const input = element('message');
  if (input.value) {
    call.channel.send(input.value);
    log('you', input.value);
    input.value = '';
  }
}

async function runEchoTest() {
  const result = element('echo-result');
  element('echo-test').disabled = true;
  result.dataset.verdict = 'running';
  try {
    const { messages, bytes, seconds } = await echoTest(call.channel, (count) => {
      if (count % 50 === 0) {
        result.textContent = `${count} messages came back…`;
      }
    });
    const mebibytes = (bytes / 1024 / 1024).toFixed(1);
    result.dataset.verdict = 'passed';
    result.textContent = `All ${messages} came back unchanged: ${mebibytes} MiB in ${seconds.toFixed(1)} s.`;
  } catch (error) {
    result.dataset.verdict = 'failed';
    result.textContent = `Failed: ${error.message}.`;
  }
  element('echo-test').disabled = call?.channel?.readyState !== 'open';
}

// ---- numbers ----

function startStatistics() {
  clearInterval(call.statistics);
  const { connection } = call.peer;
  let before = new Map();
  const update = async () => {
    const now = new Map();
    for (const stats of (await connection.getStats()).values()) {
      now.set(stats.id, stats);
    }
    showNumbers(now, before);
    before = now;
  };
  update();
  call.statistics = setInterval(update, 1000);
}

function showNumbers(now, before) {
  for (const stats of now.values()) {
    if (stats.type === 'inbound-rtp') {
      element(`stat-${stats.kind}-in`).textContent = flow(stats, before, 'bytesReceived');
    } else if (stats.type === 'outbound-rtp') {
      element(`stat-${stats.kind}-out`).textContent = flow(stats, before, 'bytesSent');
    }
  }
  const transport = [...now.values()].find(({ type }) => type === 'transport');
  const pair =
    now.get(transport?.selectedCandidatePairId) ?? // Firefox marks the pair itself.
    [...now.values()].find(({ type, selected }) => type === 'candidate-pair' && selected);
  if (pair) {
    const local = now.get(pair.localCandidateId);
    const remote = now.get(pair.remoteCandidateId);
    element('stat-path').textContent = `${local?.candidateType} to ${remote?.candidateType}, ${local?.protocol}`;
    const trip = pair.currentRoundTripTime;
    element('stat-rtt').textContent = trip === undefined ? '–' : `${(trip * 1000).toFixed(1)} ms`;
  }
}

function flow(stats, before, field) {
  const earlier = before.get(stats.id);
  const words = [];
  if (earlier) {
    const seconds = (stats.timestamp - earlier.timestamp) / 1000;
    const kilobits = ((stats[field] - earlier[field]) * 8) / 1000 / seconds;
    words.push(`${Math.round(kilobits)} kbit/s`);
  }
  if (stats.framesPerSecond) {
    words.push(`${Math.round(stats.framesPerSecond)} fps`);
  }
  if (stats.packetsLost > 0) {
    words.push(`${stats.packetsLost} lost`);
  }
  return words.join(', ') || '–';
}

// ---- buttons ----

element('open-camera').addEventListener('click', openCamera);
element('call').addEventListener('click', startCall);
element('hang-up').addEventListener('click', hangUp);
element('take-photo').addEventListener('click', takePhoto);
element('message-form').addEventListener('submit', sendMessage);
element('echo-test').addEventListener('click', runEchoTest);
// A closed tab should not leave the other side waiting for a timeout.
addEventListener('pagehide', () => call && hangUp());
