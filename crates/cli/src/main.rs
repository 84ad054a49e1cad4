//! `rtc`: cameras and microphones, a call, a signalling server and a NAT report, on the command line.
//!
//! ```sh
//! rtc devices                                       # what can be captured and played
//! rtc signal --listen 0.0.0.0:8080                  # the rooms and the call page
//! rtc call --server http://127.0.0.1:8080 --room demo
//! rtc demo                                          # both of these in one
//! rtc nat --stun stun:stun.example.org:3478
//! ```

mod call;
mod desktop;
mod devices;
mod nat;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use signaling::{Server, ServerConfig};

/// What ends the command: words for the person who ran it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List cameras, microphones and speakers
    Devices,
    /// Join a room on a signalling server and take calls there
    Call {
        /// The server
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        server: String,
        #[command(flatten)]
        call: call::Options,
    },
    /// Serve the rooms and the call page, and take calls in one of the rooms
    Demo {
        #[command(flatten)]
        serve: Serve,
        /// Open the call page in a browser when there is a desktop
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        call: call::Options,
    },
    /// Serve the rooms and the call page
    Signal {
        #[command(flatten)]
        serve: Serve,
    },
    /// Report what STUN servers see of this host
    Nat {
        /// A STUN server, such as stun:stun.example.org:3478; two of them tell the kind of mapping
        #[arg(long, required = true, num_args = 1..)]
        stun: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Serve {
    /// Where to serve
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many clients a room holds
    #[arg(long, default_value_t = 3)]
    room_limit: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Logs are for those who ask: RUST_LOG=debug rtc …
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Devices => devices::list().await,
        Command::Call { server, call } => call::run(&server, &call).await,
        Command::Demo { serve, open, call } => demo(&serve, open, &call).await,
        Command::Signal { serve } => signal(&serve).await,
        Command::Nat { stun } => nat::report(&stun).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rtc: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn bind(serve: &Serve) -> Result<Server, Failure> {
    let mut config = ServerConfig::default();
    config.room_limit = serve.room_limit;
    Server::bind(serve.listen, config)
        .await
        .map_err(|error| format!("cannot serve on {}: {error}", serve.listen).into())
}

async fn signal(serve: &Serve) -> Result<(), Failure> {
    let server = bind(serve).await?;
    println!("http://{}", server.local_addr());
    tokio::select! {
        served = server.run() => Ok(served?),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn demo(serve: &Serve, open: bool, call: &call::Options) -> Result<(), Failure> {
    let server = bind(serve).await?;
    let url = format!("http://{}", server.local_addr());
    // The first line is the address alone, for whoever started this.
    println!("{url}");
    tokio::spawn(server.run());
    let page = call.page(&url);
    if open && desktop::open(&page) {
        println!("{page} opens in the browser; press “Open camera” and “Call” there");
    } else if !call.check {
        println!("open {page} in a browser, and press “Open camera” and “Call” there");
    }
    call::run(&url, call).await
}
