//! The operations chain (W3C WebRTC §4.4.1.2): one asynchronous operation of a connection at a time, in the order of the
//! calls, and no `negotiationneeded` before the last of them is over.
//!
//! An operation is called when its future is first polled, and leaves the chain when that is dropped. One that still
//! waits when the connection is closed fails with `InvalidStateError`; in a browser it would wait for ever.

use crate::driver::Connection;
use crate::error::Error;
use crate::session::Session;
use tokio::sync::Mutex;

/// `[[Operations]]`: whose turn it is. The mutex is fair, so it keeps the order; the session knows the length.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<()>);

/// An element of the chain.
struct Operation<'a>(&'a Connection);

impl<'a> Operation<'a> {
    fn append(connection: &'a Connection) -> Result<Self, Error> {
        connection.command(|session, _| {
            if session.is_closed() {
                return Err(Error::InvalidState("the connection is closed".into()));
            }
            session.begin_operation();
            Ok(Operation(connection))
        })
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.0.command(|session, _| session.end_operation());
    }
}

impl Connection {
    /// "Chain an operation".
    pub(crate) async fn chain<T>(
        &self,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _element = Operation::append(self)?;
        let _turn = self.operations.0.lock().await;
        if self.query(Session::is_closed) {
            return Err(Error::InvalidState("the connection is closed".into()));
        }
        operation.await
    }
}
