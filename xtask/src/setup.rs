//! `setup`: installs what building and testing need, or says the command that does.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use crate::environment::{cargo_has, find, output_of, program, root};
use crate::packages::{Need, command_for_person, debian, missing};
use crate::run::{Failure, Outcome, Step, task};

/// Installs whatever is missing.
pub(crate) fn setup() -> Outcome {
    task("setup", || {
        install()?;
        println!("everything is there");
        Ok(())
    })
}

/// What the other tasks call first: silent when nothing is missing.
pub(crate) fn ensure() -> Outcome {
    if missing().is_empty() && npm_is_current() && rust_components().is_empty() {
        return Ok(());
    }
    println!("something is missing; `cargo xtask setup` installs it now");
    install()
}

fn install() -> Outcome {
    let needs = missing();
    if !needs.is_empty() {
        install_packages(&needs)?;
    }
    let components = rust_components();
    if !components.is_empty() {
        let mut command = program("rustup", ["component", "add"]);
        command.args(components);
        let what = "rustfmt and clippy, by rustup";
        Step {
            name: "setup-rust",
            what,
            command,
        }
        .run()?;
    }
    if !npm_is_current() {
        install_npm()?;
    }
    Ok(())
}

fn install_packages(needs: &[&Need]) -> Outcome {
    let by_hand = || {
        let command = command_for_person(needs);
        Failure::new(format!(
            "please install what is missing, then run this again:\n\n  {command}\n"
        ))
    };
    if find("apt-get").is_none() {
        return Err(by_hand());
    }
    let mut id = Command::new("id");
    id.arg("-u");
    let root = output_of(id).is_some_and(|id| id.trim() == "0");
    if !root && find("sudo").is_none() {
        return Err(by_hand());
    }
    let apt = || {
        let mut command = if root {
            Command::new("env")
        } else {
            Command::new("sudo")
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]);
        command
    };

    let mut update = apt();
    update.arg("update");
    Step {
        name: "setup-update",
        what: "the list of packages, by apt",
        command: update,
    }
    .run()?;

    let names = debian(needs);
    let mut install = apt();
    install
        .args(["--no-install-recommends", "install"])
        .args(&names);
    let what = format!("{}, by apt", names.join(" "));
    Step {
        name: "setup-packages",
        what: &what,
        command: install,
    }
    .run()
}

/// The browsers' remote control and the Socket.IO client. The browsers themselves come from the system.
fn install_npm() -> Outcome {
    let mut command = program("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command
        .current_dir(root().join("web"))
        .env("PUPPETEER_SKIP_DOWNLOAD", "1")
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    let what = "the packages of web/package-lock.json, by npm";
    Step {
        name: "setup-npm",
        what,
        command,
    }
    .run()
}

/// npm writes the second file last; an older one is of an earlier lock.
fn npm_is_current() -> bool {
    let changed = |path: &str| -> Option<SystemTime> {
        fs::metadata(root().join(path)).ok()?.modified().ok()
    };
    let lock = changed("web/package-lock.json");
    let installed = changed("web/node_modules/.package-lock.json");
    installed.is_some() && installed >= lock
}

fn rust_components() -> Vec<&'static str> {
    [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(subcommand, _)| !cargo_has(subcommand))
        .map(|(_, component)| component)
        .collect()
}
