// Rooms over Socket.IO 5 on Engine.IO 4 on one WebSocket: as much of the two protocols as a call needs.
// The unmodified socket.io-client works with the server as well; the page brings this one so that it needs
// no download.

/**
 * Dispatches `joined`, `otherJoin`, `full`, `leaved`, `exit`, `message` and `error` with the arguments of the
 * Socket.IO event as `detail`, and `close` with the reason when the connection is over.
 */
export class Signalling extends EventTarget {
  #socket;
  #id;
  #silence;
  #patience = 60_000;

  /** Connects and resolves when events can be emitted; rejects with an `Error` in words. */
  static connect(server = location.origin) {
    return new Promise((resolve, reject) => new Signalling(server, resolve, reject));
  }

  constructor(server, onopen, onerror) {
    super();
    const url = new URL('/socket.io/?EIO=4&transport=websocket', server);
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => this.#packet(data, onopen, onerror);
    this.#socket.onclose = () => {
      clearTimeout(this.#silence);
      onerror(new Error(`The signalling server at ${url.host} cannot be reached.`));
      this.dispatchEvent(new CustomEvent('close', { detail: ['the signalling server is gone'] }));
    };
  }

  get id() {
    return this.#id;
  }

  join(room) {
    this.#emit('join', room);
  }

  leave(room) {
    this.#emit('leave', room);
  }

  message(room, data) {
    this.#emit('message', room, data);
  }

  close() {
    this.#socket.close();
  }

  #emit(...event) {
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(`42${JSON.stringify(event)}`);
    }
  }

  // The first character is Engine.IO's type (0 open, 2 ping, 4 message), the second one Socket.IO's
  // (0 connect, 1 disconnect, 2 event, 4 connect error).
  #packet(text, onopen, onerror) {
    this.#listenForSilence();
    if (text.startsWith('0')) {
      const { pingInterval, pingTimeout } = JSON.parse(text.slice(1));
      this.#patience = pingInterval + pingTimeout;
      this.#socket.send('40');
    } else if (text === '2') {
      this.#socket.send('3');
    } else if (text.startsWith('40')) {
      this.#id = JSON.parse(text.slice(2)).sid;
      onopen(this);
    } else if (text.startsWith('42')) {
      const [name, ...detail] = JSON.parse(text.slice(text.indexOf('[')));
      this.dispatchEvent(new CustomEvent(name, { detail }));
    } else if (text.startsWith('44')) {
      onerror(new Error(`The signalling server refused: ${text.slice(2)}`));
    } else if (text === '1' || text === '41') {
      this.#socket.close();
    }
  }

  // The server pings; when it stops, it is gone, even if nothing closed the connection.
  #listenForSilence() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket.close(), this.#patience);
  }
}
