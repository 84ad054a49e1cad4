//! Host names of candidates by Multicast DNS (RFC 6762): answering for this side's, asking for the peer's.
//!
//! One service a process, with a thread of its own that ends with the last user. It knows names of one label under
//! `.local` and their addresses, and nothing else of service discovery.

mod messages;
mod sockets;
mod table;

use sockets::Sockets;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;
use table::Table;
use tokio::sync::{Notify, oneshot};

/// The running service.
#[derive(Debug)]
pub(crate) struct Mdns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Something is to be sent, or it is over.
    wake: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is answered for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Publication {
    name: String,
    service: Arc<Mdns>,
}

impl Mdns {
    /// The service of this process.
    pub(crate) fn shared() -> io::Result<Arc<Self>> {
        static RUNNING: Mutex<Weak<Mdns>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(service) = running.upgrade() {
            return Ok(service);
        }
        let service = Self::start()?;
        *running = Arc::downgrade(&service);
        Ok(service)
    }

    fn start() -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let sockets = {
            let _guard = runtime.enter();
            Sockets::open()?
        };
        let worker = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("mdns".into())
            .spawn(move || runtime.block_on(serve(&worker, sockets)))?;
        Ok(Arc::new(Mdns { shared }))
    }

    /// Answers for a name, and announces it.
    pub(crate) fn publish(self: &Arc<Self>, name: &str, address: IpAddr) -> Publication {
        let name = messages::normal(name);
        let now = Instant::now();
        self.shared.lock().publish(now, &name, address);
        self.shared.wake.notify_one();
        Publication {
            name,
            service: Arc::clone(self),
        }
    }

    /// The address of a name; `None` when nobody answers for it in time, or it is no name of one label under `.local`.
    pub(crate) async fn resolve(&self, name: &str) -> Option<IpAddr> {
        let name = messages::normal(name);
        let label = name.strip_suffix(".local")?;
        if label.is_empty() || label.contains('.') {
            return None;
        }
        let (waiter, answer) = oneshot::channel();
        self.shared.lock().want(Instant::now(), name, waiter);
        self.shared.wake.notify_one();
        answer.await.ok().flatten()
    }
}

impl Drop for Mdns {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.service.shared.lock().withdraw(&self.name);
        self.service.shared.wake.notify_one();
    }
}

async fn serve(shared: &Shared, mut sockets: Sockets) {
    loop {
        let (due, closed) = {
            let mut table = shared.lock();
            let now = Instant::now();
            for message in table.poll_transmit(now) {
                sockets.send(&message);
            }
            (table.poll_timeout(), table.closed)
        };
        if closed {
            return;
        }
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            datagram = sockets.receive() => {
                if let Some(message) = messages::read(datagram) {
                    shared.lock().take(Instant::now(), &message);
                }
            }
            () = shared.wake.notified() => sockets.refresh(),
            () = timer => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Two services, as two processes have them, on the real network of this machine.
    #[tokio::test]
    async fn one_service_finds_the_names_of_another() {
        let (here, there) = (Mdns::start().unwrap(), Mdns::start().unwrap());
        let name = "2c1b7c5e-9a51-4f6e-8d53-0a5f3f0d9b77.local";
        let address = IpAddr::from([192, 0, 2, 77]);
        let _publication = there.publish(name, address);
        let found = tokio::time::timeout(Duration::from_secs(20), here.resolve(name));
        assert_eq!(found.await, Ok(Some(address)));
        assert_eq!(there.resolve(name).await, Some(address));
        let nobodys = "3d1b7c5e-9a51-4f6e-8d53-0a5f3f0d9b77.local";
        let found = tokio::time::timeout(Duration::from_secs(20), here.resolve(nobodys));
        assert_eq!(found.await, Ok(None));
        assert_eq!(here.resolve("two.labels.local").await, None);
        assert_eq!(here.resolve("example.org").await, None);
    }
}
