//! Lists the devices, then opens the default camera and microphone for a moment.

use pc_media_capture::{MediaStreamConstraints, enumerate_devices, get_user_media};
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for device in enumerate_devices() {
        println!("{:12} {} ({})", device.kind, device.label, device.device_id);
    }
    let stream = get_user_media(&MediaStreamConstraints::audio_and_video())?;
    for track in stream.tracks() {
        let frame = track.subscribe().recv_timeout(Duration::from_secs(5))?;
        println!("{} from {}: {frame:?}", track.kind(), track.label());
    }
    Ok(())
}
