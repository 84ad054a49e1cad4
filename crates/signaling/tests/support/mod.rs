//! A server on a free port, for the tests.

use pc_signaling::{Server, ServerConfig};

/// Starts a server and returns its address, such as `http://127.0.0.1:40123`.
pub(crate) async fn serve(config: ServerConfig) -> String {
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(address, config).await.expect("a free port");
    let url = format!("http://{}", server.local_addr());
    tokio::spawn(server.run());
    url
}
