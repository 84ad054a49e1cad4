//! The unmodified `socket.io-client` of npm against the server, over polling and over WebSocket.

mod support;

use std::path::Path;

use pc_signaling::ServerConfig;
use support::serve;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_unmodified_socket_io_client_is_understood() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    assert!(
        web.join("node_modules/socket.io-client").is_dir(),
        "socket.io-client is missing: run `cargo xtask setup`"
    );
    let url = serve(ServerConfig::default()).await;
    let output = Command::new("node")
        .arg("check/socket-io-client.mjs")
        .arg(&url)
        .current_dir(&web)
        .output()
        .await
        .expect("node, which `cargo xtask setup` installs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
