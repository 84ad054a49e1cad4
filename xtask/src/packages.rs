//! What building and testing need from the system, and what each distribution calls it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::environment::{find, output_of, succeeds};

/// How to know that something is there.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// A program on the path; any of these will do.
    Program(&'static [&'static str]),
    /// A module that pkg-config knows.
    Module(&'static str),
    /// A file that matches none of the others.
    File(&'static [&'static str]),
    /// libclang, which bindgen loads.
    Libclang,
}

/// One need, with its packages' names by package manager (empty: part of the system or without a package).
#[derive(Debug)]
pub(crate) struct Need {
    sign: Sign,
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    brew: &'static str,
}

const fn need(sign: Sign, [apt, dnf, pacman, brew]: [&'static str; 4]) -> Need {
    Need {
        sign,
        apt,
        dnf,
        pacman,
        brew,
    }
}

/// Everything, in the order in which one would explain it.
const NEEDS: &[Need] = &[
    // To build.
    need(Sign::Program(&["c++"]), ["g++", "gcc-c++", "gcc", ""]),
    need(Sign::Program(&["make"]), ["make", "make", "make", ""]),
    need(
        Sign::Program(&["cmake"]),
        ["cmake", "cmake", "cmake", "cmake"],
    ),
    need(Sign::Program(&["nasm"]), ["nasm", "nasm", "nasm", "nasm"]),
    need(
        Sign::Program(&["pkg-config"]),
        ["pkg-config", "pkgconf", "pkgconf", "pkgconf"],
    ),
    need(
        Sign::Module("alsa"),
        ["libasound2-dev", "alsa-lib-devel", "alsa-lib", ""],
    ),
    need(
        Sign::Module("vpx"),
        ["libvpx-dev", "libvpx-devel", "libvpx", "libvpx"],
    ),
    need(Sign::Libclang, ["libclang", "clang-devel", "clang", "llvm"]),
    // To test and to compare.
    need(
        Sign::Module("libsrtp2"),
        ["libsrtp2-dev", "libsrtp-devel", "libsrtp", "srtp"],
    ),
    need(
        Sign::Program(&["node"]),
        ["nodejs", "nodejs", "nodejs", "node"],
    ),
    need(Sign::Program(&["npm"]), ["npm", "nodejs-npm", "npm", ""]),
    need(
        Sign::Program(&["chromium", "chromium-browser", "google-chrome"]),
        ["chromium", "chromium", "chromium", ""],
    ),
    need(
        Sign::Program(&["firefox", "firefox-esr"]),
        ["firefox-esr", "firefox", "firefox", ""],
    ),
    need(
        Sign::Program(&["turnserver"]),
        ["coturn", "coturn", "coturn", "coturn"],
    ),
    need(
        Sign::Program(&["openssl"]),
        ["openssl", "openssl", "openssl", "openssl"],
    ),
    need(
        Sign::Program(&["pulseaudio", "pipewire-pulse"]),
        ["pulseaudio", "pulseaudio", "pulseaudio", ""],
    ),
    need(
        Sign::File(&[
            "/usr/lib/x86_64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so",
            "/usr/lib/aarch64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so",
            "/usr/lib64/alsa-lib/libasound_module_pcm_pulse.so",
            "/usr/lib/alsa-lib/libasound_module_pcm_pulse.so",
        ]),
        [
            "libasound2-plugins",
            "alsa-plugins-pulseaudio",
            "alsa-plugins",
            "",
        ],
    ),
];

impl Need {
    fn is_met(&self) -> bool {
        match self.sign {
            Sign::Program(names) => names.iter().any(|name| find(name).is_some()),
            Sign::Module(name) => {
                let mut command = Command::new("pkg-config");
                command.args(["--exists", name]);
                succeeds(command)
            }
            // Sound through a sound server is a matter of Linux.
            Sign::File(paths) => {
                !cfg!(target_os = "linux") || paths.iter().any(|path| Path::new(path).exists())
            }
            Sign::Libclang => has_libclang(),
        }
    }
}

/// What is missing here.
pub(crate) fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.is_met()).collect()
}

/// Debian's names. That of libclang carries a version, and its headers are a package of their own.
pub(crate) fn debian(needs: &[&Need]) -> Vec<String> {
    let mut names = Vec::new();
    for need in needs {
        if matches!(need.sign, Sign::Libclang) {
            let version = libclang_version();
            names.push(format!("libclang1-{version}"));
            names.push(format!("libclang-common-{version}-dev"));
        } else {
            names.push(need.apt.to_owned());
        }
    }
    names
}

/// The command that installs the needs on this system, for a person to run.
pub(crate) fn command_for_person(needs: &[&Need]) -> String {
    let join = |names: Vec<&str>| {
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        names.join(" ")
    };
    if find("apt-get").is_some() {
        return format!("sudo apt-get install -y {}", debian(needs).join(" "));
    }
    if find("dnf").is_some() {
        let names = needs.iter().map(|need| need.dnf).collect();
        return format!("sudo dnf install -y {}", join(names));
    }
    if find("pacman").is_some() {
        let names = needs.iter().map(|need| need.pacman).collect();
        return format!("sudo pacman -S --needed {}", join(names));
    }
    if find("brew").is_some() {
        let names = needs.iter().map(|need| need.brew).collect();
        return format!("brew install {}", join(names));
    }
    let names = debian(needs).join(" ");
    format!("install what Debian calls: {names}")
}

fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    if !cfg!(target_os = "linux") {
        return find("clang").is_some();
    }
    let mut folders = vec!["/usr/lib64".into(), "/usr/lib".into()];
    for architecture in ["x86_64", "aarch64"] {
        folders.push(format!("/usr/lib/{architecture}-linux-gnu"));
    }
    for version in 11..40 {
        folders.push(format!("/usr/lib/llvm-{version}/lib"));
    }
    folders.iter().any(|folder| {
        fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libclang.so") || name.starts_with("libclang-")
            })
        })
    })
}

/// The release's own version of clang: 14 on Debian 12, 19 on Debian 13, else the newest that apt knows.
fn libclang_version() -> u32 {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if release.contains("VERSION_CODENAME=bookworm") {
        return 14;
    }
    if release.contains("VERSION_CODENAME=trixie") {
        return 19;
    }
    let mut command = Command::new("apt-cache");
    command.args(["search", "--names-only", "^libclang1-[0-9]+$"]);
    let found = output_of(command).unwrap_or_default();
    let versions = found.lines().filter_map(|line| {
        let name = line.split_whitespace().next()?;
        name.strip_prefix("libclang1-")?.parse().ok()
    });
    versions.max().unwrap_or(19)
}
