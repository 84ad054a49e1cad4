//! Serves the rooms and the call page: `cargo run -p pc-signaling --example serve [ADDRESS]`.

use pc_signaling::{Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let server = Server::bind(address, ServerConfig::default()).await?;
    println!("http://{}", server.local_addr());
    server.run().await?;
    Ok(())
}
