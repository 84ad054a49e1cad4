//! A tone through a real sound server: our speaker plays it, our microphone hears it.
//!
//! The test starts a PulseAudio of its own, with a sink that is nothing but its own monitor, and ends it. It needs
//! the Debian packages `pulseaudio` and `libasound2-plugins`, and says so where they are missing.
#![cfg(all(target_os = "linux", feature = "cpal"))]
#![allow(
    clippy::disallowed_methods,
    reason = "waits for a real sound server in real time"
)]

use media::{AudioFrame, MediaKind, MediaStreamTrack, TrackInit};
use pc_media_capture::playout::{Speaker, SpeakerOptions};
use pc_media_capture::tone::{Tone, strength};
use pc_media_capture::{
    MediaDeviceKind, MediaDevices, MediaStreamConstraints, OpenError, Synthetic,
};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the child process that it is one.
const CHILD: &str = "PC_TEST_SOUND_SERVER";
const LIMIT: Duration = Duration::from_secs(40);
/// Not the default one, lest something else be heard.
const FREQUENCY: f64 = 660.0;

#[test]
fn our_speaker_is_heard_by_our_microphone() {
    if std::env::var_os(CHILD).is_some() {
        play_and_hear();
        return;
    }
    let Some(server) = SoundServer::start() else {
        return;
    };
    // Only a new process reads where its sound server is.
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "our_speaker_is_heard_by_our_microphone",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .env("HOME", &server.folder)
        .env("XDG_RUNTIME_DIR", &server.folder)
        .env(
            "PULSE_SERVER",
            format!("unix:{}", server.socket().display()),
        )
        .spawn()
        .unwrap();
    let status = wait(&mut child, LIMIT);
    assert!(
        status.is_some_and(|s| s.success()),
        "the child ended with {status:?}"
    );
}

/// A PulseAudio that belongs to this test alone.
struct SoundServer {
    process: Child,
    folder: PathBuf,
}

impl SoundServer {
    fn start() -> Option<SoundServer> {
        if !has_alsa_plugin() {
            eprintln!("skipped: the ALSA plugin for PulseAudio is missing (libasound2-plugins)");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("pc-sound-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join(".asoundrc"),
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n",
        )
        .unwrap();
        let socket = folder.join("native");
        let process = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--use-pid-file=no",
                "--exit-idle-time=-1",
            ])
            .args(["--disable-shm=yes", "--realtime=no", "--high-priority=no"])
            .arg("-L")
            .arg(format!(
                "module-native-protocol-unix auth-anonymous=1 socket={}",
                socket.display()
            ))
            .args([
                "-L",
                "module-null-sink sink_name=loop rate=48000 channels=2",
            ])
            .env("HOME", &folder)
            .env("XDG_RUNTIME_DIR", &folder)
            .env("PULSE_RUNTIME_PATH", folder.join("pulse"))
            .env_remove("PULSE_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = process else {
            eprintln!("skipped: PulseAudio is not installed");
            fs::remove_dir_all(&folder).unwrap();
            return None;
        };
        let server = SoundServer { process, folder };
        let start = Instant::now();
        while UnixStream::connect(server.socket()).is_err() {
            assert!(start.elapsed() < LIMIT, "PulseAudio does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("native")
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn has_alsa_plugin() -> bool {
    let lib = Path::new("/usr/lib");
    let folders = fs::read_dir(lib).into_iter().flatten().flatten();
    folders
        .map(|entry| entry.path())
        .chain([lib.to_owned(), PathBuf::from("/usr/lib64")])
        .any(|folder| {
            folder
                .join("alsa-lib/libasound_module_pcm_pulse.so")
                .exists()
        })
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn play_and_hear() {
    let devices = MediaDevices::new(Synthetic::Never);
    let list = devices.enumerate_devices();
    for kind in [MediaDeviceKind::AudioInput, MediaDeviceKind::AudioOutput] {
        assert!(
            list.iter().any(|d| d.kind == kind && !d.synthetic),
            "{list:?}"
        );
    }

    let (track, stop, player) = tone();
    let speaker = Speaker::open(&SpeakerOptions {
        synthetic: Synthetic::Never,
        ..Default::default()
    })
    .unwrap();
    let playback = speaker.play(&track).unwrap();

    let stream = devices
        .get_user_media(&MediaStreamConstraints::audio())
        .unwrap();
    let microphone = &stream.audio_tracks()[0];
    let settings = microphone.settings();
    assert_eq!(
        (settings.sample_rate, settings.channel_count),
        (Some(48_000), Some(1))
    );
    let mut receiver = microphone.subscribe_audio().unwrap();
    let mut heard = Vec::new();
    let mut last = Duration::ZERO;
    let start = Instant::now();
    // Two seconds in which the tone is there; the server takes a moment to start.
    while heard.len() < 96_000 {
        assert!(
            start.elapsed() < LIMIT / 2,
            "nothing is heard: {:?}",
            playback.stats()
        );
        let sound = receiver.recv_timeout(LIMIT).unwrap();
        assert!(sound.timestamp() >= last);
        last = sound.timestamp();
        if !heard.is_empty() || sound.rms() > 0.05 {
            heard.extend_from_slice(sound.samples());
        }
    }
    let heard = AudioFrame::new(heard, 48_000, 1, Duration::ZERO).unwrap();
    let pitch = pitch(&heard);
    println!(
        "heard {pitch:.1} Hz, {:.2} loud; {:?}",
        heard.rms(),
        playback.stats()
    );
    // A speaker that catches up plays at most half a percent faster: 3.3 Hz.
    assert!((pitch - FREQUENCY).abs() < 5.0, "{pitch} Hz");
    assert!(heard.rms() > 0.1, "{}", heard.rms());

    playback.stop();
    stop.store(true, Ordering::SeqCst);
    player.join().unwrap();
    microphone.stop();
    while receiver.recv_timeout(LIMIT).is_ok() {}

    let nowhere = Speaker::open(&SpeakerOptions {
        device_id: Some("no such speaker".into()),
        synthetic: Synthetic::Never,
    });
    assert!(matches!(nowhere, Err(OpenError::NotFound(_))));
}

/// A track with a tone at 44.1 kHz, so that the speaker has to convert it.
fn tone() -> (MediaStreamTrack, Arc<AtomicBool>, thread::JoinHandle<()>) {
    let (track, writer) = MediaStreamTrack::new(MediaKind::Audio, TrackInit::default());
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let player = thread::spawn(move || {
        let mut tone = Tone::new(FREQUENCY);
        let start = Instant::now();
        let mut due = Duration::ZERO;
        while !stopped.load(Ordering::SeqCst) {
            let sound = tone.next(441, 44_100, 1, due).unwrap();
            due += sound.duration();
            if writer.write(sound).is_err() {
                return;
            }
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
    });
    (track, stop, player)
}

/// The frequency that is strongest, to a hertz.
fn pitch(sound: &AudioFrame) -> f64 {
    let candidates = (100..2_000).map(f64::from);
    candidates
        .map(|frequency| (frequency, strength(sound, frequency)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
        .0
}
