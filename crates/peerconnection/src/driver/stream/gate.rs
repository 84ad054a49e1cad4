//! One listening port for many connections: a stranger's first message says whose peer it is.

use super::{AGAIN, FIRST_MESSAGE, MOST_INCOMING, carry_incoming};
use crate::driver::Connection;
use crate::driver::stream::framing::Deframer;
use ice::{Framing, Path, Protocol};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The longest first message: longer STUN messages are none of ICE's.
const LONGEST: usize = 1500;

/// Who knows the connections.
pub(crate) trait Gatekeeper: Send + Sync + 'static {
    /// Whose peer sends this check; it counts what is nobody's.
    fn owner(&self, path: Path, check: &[u8]) -> Option<Arc<Connection>>;
    /// This one was not let in.
    fn refused(&self, why: Refusal);
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not begin with a check in the frame of RFC 4571.
    Malformed,
    /// It did not say whom it is for in time, or was closed before.
    Silent,
    /// Its owner has enough of them.
    TooMany,
}

/// A listening port.
#[derive(Debug)]
pub(crate) struct Gate {
    listener: TcpListener,
    pub(crate) local: SocketAddr,
}

impl Gate {
    /// Listens on an address.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = super::socket_at(address, false)?.listen(MOST_INCOMING as u32)?;
        let local = listener.local_addr()?;
        Ok(Gate { listener, local })
    }

    /// Lets peers in for as long as there is a gatekeeper.
    pub(crate) async fn run<G: Gatekeeper>(self, keeper: Weak<G>) {
        let places = Arc::new(Semaphore::new(MOST_INCOMING));
        loop {
            // Those that have not said yet whom they are for; the kernel keeps a few more waiting and refuses the rest.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (stream, remote) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    // Out of descriptors, as a rule: others must be closed first.
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            let path = Path {
                protocol: Protocol::Tcp,
                local: self.local,
                remote,
            };
            let keeper = Weak::clone(&keeper);
            tokio::spawn(async move {
                let first = tokio::time::timeout(FIRST_MESSAGE, first_message(stream)).await;
                let refused = |why| {
                    if let Some(keeper) = keeper.upgrade() {
                        keeper.refused(why);
                    }
                };
                let (stream, deframer, check) = match first {
                    Ok(Ok(first)) => first,
                    Ok(Err(why)) => return refused(why),
                    Err(_) => return refused(Refusal::Silent),
                };
                let owner = (keeper.upgrade()).and_then(|keeper| keeper.owner(path, &check));
                drop(place);
                if let Some(owner) = owner
                    && !carry_incoming(owner, path, stream, deframer).await
                {
                    refused(Refusal::TooMany);
                }
            });
        }
    }
}

/// Reads until the first message is there; the deframer still has it to give.
async fn first_message(mut stream: TcpStream) -> Result<(TcpStream, Deframer, Vec<u8>), Refusal> {
    let mut deframer = Deframer::new(Framing::Rfc4571);
    loop {
        match stream.read(deframer.room()).await {
            Ok(bytes) if bytes > 0 => deframer.filled(bytes),
            _ => return Err(Refusal::Silent),
        }
        if deframer.announced().is_some_and(|len| len > LONGEST) {
            return Err(Refusal::Malformed);
        }
        let Some(message) = deframer.peek().map_err(|_| Refusal::Malformed)? else {
            continue;
        };
        let is_request = matches!(stun::peek(message), Some((stun::Class::Request, ..)));
        if !is_request || message.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let check = message.to_vec();
        return Ok((stream, deframer, check));
    }
}
