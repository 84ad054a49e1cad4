// One call with one peer: RTCPeerConnection and the exchange of descriptions and candidates.

/**
 * Dispatches `state` (the connection's state), `stream` (the peer's media), `channel` (a data channel, ours or
 * the peer's), `send` (data for the peer, to be carried by the signalling) and `failure` (an error in words).
 *
 * Both sides may offer at the same time. Then the polite one takes its offer back, and the other one ignores
 * what it hears (WebRTC §10.7 shows this "perfect negotiation"). The newcomer to a room is the polite one.
 */
export class Peer extends EventTarget {
  #polite;
  #stream;
  #configuration;
  #makingOffer = false;
  #ignoringOffer = false;
  #settingAnswer = false;
  #work = Promise.resolve();
  #channelMade = false;

  constructor({ polite, stream, configuration = {} }) {
    super();
    this.#polite = polite;
    this.#stream = stream;
    this.#configuration = configuration;
    this.#connect();
  }

  #connect() {
    const connection = new RTCPeerConnection(this.#configuration);
    this.connection = connection;
    this.#channelMade = false;
    connection.onconnectionstatechange = () => this.#tell('state', connection.connectionState);
    connection.onnegotiationneeded = () => this.#offer(connection);
    connection.onicecandidate = ({ candidate }) => {
      // The end of the candidates (null) is a fact of our side alone.
      if (candidate) {
        this.#tell('send', { type: 'candidate', candidate: candidate.toJSON() });
      }
    };
    connection.ontrack = ({ track, streams }) => {
      this.#tell('stream', streams[0] ?? new MediaStream([track]));
    };
    connection.ondatachannel = ({ channel }) => this.#tell('channel', { channel, ours: false });
  }

  /** Offers our media and a data channel. */
  start() {
    this.#addMedia();
    this.#addChannel();
    if (!this.#stream) {
      // Nothing to send; still ready to receive.
      this.connection.addTransceiver('audio', { direction: 'recvonly' });
      this.connection.addTransceiver('video', { direction: 'recvonly' });
    }
  }

  /**
   * Sends the offer that waits for an answer, for somebody who came after it was made. Whoever was in the room
   * before is not the polite one.
   */
  repeatOffer() {
    this.#polite = false;
    if (this.connection.signalingState === 'have-local-offer') {
      this.#sendDescription();
    }
  }

  /** Takes what the peer sent; one message after the other. */
  receive(message) {
    this.#work = this.#work.then(() => this.#receive(message)).catch((error) => this.#fail(error));
    return this.#work;
  }

  close() {
    // What is still on its way is of no interest any more.
    for (const name of ['connectionstatechange', 'negotiationneeded', 'icecandidate', 'track', 'datachannel']) {
      this.connection[`on${name}`] = null;
    }
    this.connection.close();
  }

  async #offer(connection) {
    try {
      this.#makingOffer = true;
      await connection.setLocalDescription();
      if (connection === this.connection) {
        this.#sendDescription();
      }
    } catch (error) {
      if (connection === this.connection) {
        this.#fail(error);
      }
    } finally {
      this.#makingOffer = false;
    }
  }

  async #receive(message) {
    if (message.type === 'offer' || message.type === 'answer') {
      await this.#describe(message);
    } else if (message.type === 'candidate') {
      try {
        await this.connection.addIceCandidate(message.candidate);
      } catch (error) {
        // Candidates of an offer that was ignored have nowhere to go.
        if (!this.#ignoringOffer) {
          throw error;
        }
      }
    } else {
      throw new Error(`The peer sent something unknown: ${JSON.stringify(message).slice(0, 80)}`);
    }
  }

  async #describe({ type, sdp }) {
    const before = this.connection.remoteDescription;
    if (type === 'offer' && before && origin(before.sdp) === origin(sdp)) {
      return; // The same offer again.
    }
    const { signalingState } = this.connection;
    const ready = !this.#makingOffer && (signalingState === 'stable' || this.#settingAnswer);
    const collision = type === 'offer' && !ready;
    this.#ignoringOffer = collision && !this.#polite;
    if (this.#ignoringOffer) {
      return;
    }
    if (collision && !this.connection.currentRemoteDescription) {
      // Setting the offer would roll ours back; but Chromium gathers no candidates after it rolled back an
      // offer whose candidates it was gathering. Nothing is connected yet, so a fresh start costs nothing.
      this.close();
      this.#connect();
    }
    const { connection } = this;
    this.#settingAnswer = type === 'answer';
    try {
      await connection.setRemoteDescription({ type, sdp });
    } finally {
      this.#settingAnswer = false;
    }
    if (type === 'offer') {
      // Only now, so that our tracks take the places which the offer made for them.
      this.#addMedia();
      await connection.setLocalDescription();
      this.#sendDescription();
      this.#addChannel();
    }
  }

  #sendDescription() {
    const { type, sdp } = this.connection.localDescription;
    this.#tell('send', { type, sdp });
  }

  #addMedia() {
    const sent = this.connection.getSenders().map((sender) => sender.track);
    for (const track of this.#stream?.getTracks() ?? []) {
      if (!sent.includes(track)) {
        this.connection.addTrack(track, this.#stream);
      }
    }
  }

  #addChannel() {
    if (!this.#channelMade) {
      this.#channelMade = true;
      const channel = this.connection.createDataChannel('chat');
      this.#tell('channel', { channel, ours: true });
    }
  }

  #fail(error) {
    this.#tell('failure', error.message ?? String(error));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** The line that names a description and its version (RFC 8866 §5.2). */
function origin(sdp) {
  return sdp.match(/^o=.*$/m)?.[0];
}
