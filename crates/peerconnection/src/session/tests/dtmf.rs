//! `insertDTMF` and the packets of RFC 4733.

use super::*;

fn audio(side: &Side) -> TransceiverId {
    let mut views = side.session.transceivers();
    let view = views.find(|view| view.kind() == MediaKind::Audio);
    view.expect("an audio transceiver").id()
}

fn insert(side: &mut Side, now: Instant, tones: &str, milliseconds: u64, gap: u64) -> &'static str {
    let id = audio(side);
    side.session
        .insert_dtmf(
            now,
            id,
            tones,
            Duration::from_millis(milliseconds),
            Duration::from_millis(gap),
        )
        .map_or_else(|error| error.name(), |()| "none")
}

#[test]
fn determine_if_dtmf_can_be_sent() {
    let mut pair = pair(41, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    let id = audio(&pair.a);
    assert!(!pair.a.session.can_insert_dtmf(id), "not connected yet");
    assert_eq!(insert(&mut pair.a, now, "1", 100, 70), "InvalidStateError");
    pair.run_for(Duration::from_secs(2));
    assert!(pair.a.session.can_insert_dtmf(id));
    let now = pair.now();
    assert_eq!(
        insert(&mut pair.a, now, "1E", 100, 70),
        "InvalidCharacterError"
    );
    pair.a.session.replace_track(id, None).expect("replaced");
    assert!(!pair.a.session.can_insert_dtmf(id), "without a track");
}

#[test]
fn dtmf_playout_task_steps() {
    let mut pair = established(42, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    assert_eq!(insert(&mut pair.a, now, "1d,#", 100, 70), "none");
    let id = audio(&pair.a);
    assert_eq!(pair.a.session.tone_buffer(id), "1D,#");
    pair.run_for(Duration::from_millis(1));
    assert_eq!(pair.a.tones, ["1"]);
    assert_eq!(pair.a.session.tone_buffer(id), "D,#");
    pair.run_for(Duration::from_millis(165));
    assert_eq!(pair.a.tones, ["1"], "tone and gap are 170 ms");
    pair.run_for(Duration::from_millis(10));
    assert_eq!(pair.a.tones, ["1", "D"]);
    pair.run_for(Duration::from_millis(170));
    assert_eq!(pair.a.tones, ["1", "D", ","]);
    pair.run_for(Duration::from_millis(1_900));
    assert_eq!(pair.a.tones.len(), 3, "a comma waits for two seconds");
    pair.run_for(Duration::from_millis(400));
    assert_eq!(pair.a.tones, ["1", "D", ",", "#", ""]);
    let heard: Vec<char> = ends(&pair.b);
    assert_eq!(heard, ['1', 'D', '#']);
    let last = pair.b.events_heard.last().expect("an event");
    assert_eq!((last.duration, last.end), (4_800, true), "100 ms at 48 kHz");
}

/// The tones of which an end was heard, each once.
fn ends(side: &Side) -> Vec<char> {
    let mut tones: Vec<char> = side
        .events_heard
        .iter()
        .filter(|event| event.end)
        .filter_map(|event| event.tone)
        .collect();
    tones.dedup();
    tones
}

#[test]
fn inserting_again_replaces_the_tones_that_are_still_to_come() {
    let mut pair = established(43, LinkConfig::with_latency(Duration::from_millis(5)));
    let now = pair.now();
    insert(&mut pair.a, now, "123", 100, 70);
    pair.run_for(Duration::from_millis(50));
    let now = pair.now();
    insert(&mut pair.a, now, "9", 100, 70);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.tones, ["1", "9", ""]);
    let now = pair.now();
    insert(&mut pair.a, now, "55", 100, 70);
    pair.run_for(Duration::from_millis(50));
    let now = pair.now();
    insert(&mut pair.a, now, "", 100, 70);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.a.tones, ["1", "9", "", "5", ""]);
}

#[test]
fn long_tones_are_cut_into_segments_and_survive_loss() {
    let mut link = LinkConfig::with_loss(0.1);
    link.latency = Duration::from_millis(20);
    let mut pair = established(44, link);
    let now = pair.now();
    // 60 s are cut to 6 s, which are 288,000 ticks: more than the field holds.
    insert(&mut pair.a, now, "*", 60_000, 1);
    pair.run_for(Duration::from_secs(7));
    assert_eq!(pair.a.tones, ["*", ""]);
    let longest = pair.b.events_heard.iter().map(|event| event.duration).max();
    assert_eq!(longest, Some(u16::MAX));
    assert_eq!(ends(&pair.b), ['*']);
}
