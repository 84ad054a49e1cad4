// The unmodified socket.io-client against our server: `node socket-io-client.mjs http://127.0.0.1:PORT`.
// Two clients, one that upgrades from polling to WebSocket as browsers do and one on WebSocket at once, go
// through every rule of the rooms. Exits with 0 when all of it holds.

import assert from 'node:assert/strict';
import { io } from 'socket.io-client';

const url = process.argv[2];
assert.ok(url, 'usage: node socket-io-client.mjs <server>');

/** A client whose events wait in order until they are asked for. */
class Client {
  #events = [];
  #waiting = null;

  constructor(options) {
    this.socket = io(url, { forceNew: true, reconnection: false, ...options });
    this.socket.onAny((name, ...args) => {
      this.#events.push([name, ...args]);
      this.#waiting?.();
    });
  }

  async connected() {
    if (!this.socket.connected) {
      await new Promise((resolve, reject) => {
        this.socket.once('connect', resolve);
        this.socket.once('connect_error', reject);
      });
    }
    return this;
  }

  get id() {
    return this.socket.id;
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  async next() {
    while (this.#events.length === 0) {
      await new Promise((resolve) => (this.#waiting = resolve));
    }
    return this.#events.shift();
  }

  async hears(...expected) {
    assert.deepEqual(await this.next(), expected);
  }
}

// Nothing below waits for time; this only turns a hang into a failure.
setTimeout(() => {
  console.error('no answer within 30 s');
  process.exit(1);
}, 30_000).unref();

const ada = await new Client({}).connected();
const bob = await new Client({ transports: ['websocket'] }).connected();

ada.emit('join', 'kitchen');
await ada.hears('joined', 'kitchen', ada.id);
bob.emit('join', 'kitchen');
await bob.hears('joined', 'kitchen', bob.id);
await ada.hears('otherJoin', 'kitchen', bob.id);

// Any JSON goes through as it is, and in order.
const data = { type: 'offer', sdp: 'v=0\r\n', nested: [1, null, { deep: 'ü' }] };
bob.emit('message', 'kitchen', data);
bob.emit('message', 'kitchen', null);
await ada.hears('message', 'kitchen', data);
await ada.hears('message', 'kitchen', null);

// An SDP of a busy conference is longer than one polling or WebSocket frame.
const long = 'a=candidate '.repeat(8_000);
ada.emit('message', 'kitchen', { type: 'offer', sdp: long });
await bob.hears('message', 'kitchen', { type: 'offer', sdp: long });

const carol = await new Client({ transports: ['polling'] }).connected();
carol.emit('join', 'kitchen');
await carol.hears('joined', 'kitchen', carol.id);
await ada.hears('otherJoin', 'kitchen', carol.id);
await bob.hears('otherJoin', 'kitchen', carol.id);

const dan = await new Client({}).connected();
dan.emit('join', 'kitchen');
await dan.hears('full', 'kitchen', dan.id);

bob.emit('leave', 'kitchen');
await bob.hears('leaved', 'kitchen', bob.id);
await ada.hears('exit', 'kitchen', bob.id);
await carol.hears('exit', 'kitchen', bob.id);

// A disconnect is a leave.
const gone = carol.id;
carol.socket.disconnect();
await ada.hears('exit', 'kitchen', gone);

// Wrong events are answered in words, and the connection lives on.
for (const [args, words] of [
  [['sing', 'kitchen'], /unknown event "sing"/],
  [['join'], /takes 1 argument/],
  [['join', { room: 'kitchen' }], /not a string/],
  [['message', 'kitchen', 1, 2], /takes 2 argument/],
  [['message', 'kitchen', Buffer.from([1, 2])], /message\(room, data\) is malformed/],
]) {
  bob.emit(...args);
  const [name, text] = await bob.next();
  assert.equal(name, 'error');
  assert.match(text, words);
}
bob.emit('join', 'garden');
await bob.hears('joined', 'garden', bob.id);

for (const client of [ada, bob, dan]) {
  client.socket.disconnect();
}
console.log('socket.io-client: every rule of the rooms holds');
process.exit(0);
