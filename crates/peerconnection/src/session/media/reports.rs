//! RTCP in and out: reports in their time, feedback at once.

use super::{MOST_REPORT_BLOCKS, MOST_SENDER_REPORTS, MediaEngine, REPORT_INTERVAL};
use crate::session::event::Event;
use rand::RngExt;
use rtp::rtcp::{self, ReportBlock};
use rtp::{NtpTime, Ssrc, send};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

impl MediaEngine {
    pub(in crate::session) fn handle_rtcp(
        &mut self,
        now: Instant,
        transport: usize,
        packet: &[u8],
        events: &mut VecDeque<Event>,
    ) {
        for packet in rtcp::packets(packet).flatten() {
            match &packet {
                rtcp::Packet::SenderReport(report) => {
                    if let Some(index) = self.route(transport, report.info.ssrc) {
                        self.incoming[index]
                            .stream
                            .handle_sender_report(now, &report.info);
                    }
                }
                rtcp::Packet::TransportFeedback(feedback) => {
                    self.handle_feedback(now, transport, feedback);
                }
                rtcp::Packet::Bye(bye) => {
                    for ssrc in bye.sources() {
                        let Some(index) = self.route(transport, ssrc) else {
                            continue;
                        };
                        let incoming = &mut self.incoming[index];
                        if incoming.stream.ssrc() == ssrc
                            && !std::mem::replace(&mut incoming.silent, true)
                        {
                            events.push_back(Event::TrackMuted(incoming.transceiver));
                        }
                    }
                }
                _ => {}
            }
            for outgoing in self
                .outgoing
                .iter_mut()
                .filter(|outgoing| outgoing.transport == transport)
            {
                outgoing.stream.handle_rtcp(now, &packet);
            }
        }
        // What the reports say of the round trip is when to ask again for a lost packet.
        let mut here = self
            .outgoing
            .iter()
            .filter(|outgoing| outgoing.transport == transport);
        if let Some(rtt) = here.find_map(|outgoing| outgoing.stream.stats().round_trip_time) {
            for incoming in self
                .incoming
                .iter_mut()
                .filter(|incoming| incoming.transport == transport)
            {
                incoming.stream.set_round_trip_time(rtt);
            }
        }
        let mut limit = None;
        for outgoing in &mut self.outgoing {
            while let Some(event) = outgoing.stream.poll_event() {
                match event {
                    send::Event::KeyframeRequested => {
                        let (transceiver, rid) = (outgoing.transceiver, outgoing.rid.clone());
                        events.push_back(Event::KeyframeRequested { transceiver, rid });
                    }
                    send::Event::BitrateLimit(bps) => limit = Some(bps),
                    _ => {}
                }
            }
        }
        if let Some(limit) = limit {
            self.handle_limit(transport, limit);
        }
    }

    // Time.

    pub(in crate::session) fn poll_timeout(&self) -> Option<Instant> {
        let busy = !self.outgoing.is_empty() || !self.incoming.is_empty();
        let reports = self
            .reports
            .iter()
            .filter(|_| busy)
            .map(|schedule| schedule.due);
        self.incoming
            .iter()
            .filter_map(|incoming| incoming.stream.poll_timeout())
            .chain(reports)
            .chain(self.paths_timeout())
            .min()
    }

    pub(in crate::session) fn handle_timeout(&mut self, now: Instant) {
        self.handle_paths_timeout(now);
        for index in 0..self.reports.len() {
            if self.reports[index].due <= now {
                self.reports[index].due = now + self.report_interval();
                self.reports[index].ready = true;
            }
        }
        for index in 0..self.incoming.len() {
            let stream = &mut self.incoming[index].stream;
            if stream.poll_timeout().is_some_and(|due| due <= now) {
                stream.handle_timeout(now);
                self.feedback_due = true;
                self.collect_frames(now, index);
            }
        }
    }

    /// Under which this side reports.
    pub(super) fn own_ssrc(&self) -> Ssrc {
        self.outgoing
            .first()
            .map_or(self.own_ssrc, |outgoing| outgoing.stream.ssrc())
    }

    pub(super) fn report_interval(&mut self) -> Duration {
        REPORT_INTERVAL.mul_f64(self.rng.random_range(0.5..1.5))
    }

    /// Appends the next RTCP packet of a transport, unprotected: feedback at once, reports in their time.
    pub(in crate::session) fn poll_rtcp(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        transport: usize,
        buf: &mut Vec<u8>,
    ) -> bool {
        if self.feedback_due {
            for incoming in self
                .incoming
                .iter_mut()
                .filter(|incoming| incoming.transport == transport)
            {
                if incoming.stream.poll_feedback(now, buf).is_some() {
                    return true;
                }
            }
            self.feedback_due = self
                .incoming
                .iter()
                .any(|incoming| incoming.transport != transport);
        }
        let own = self.own_ssrc();
        if self.poll_transport_feedback(now, transport, own, buf) {
            return true;
        }
        if let Some(place) = self
            .byes
            .iter()
            .position(|(number, _)| *number == transport)
        {
            let (_, ssrc) = self.byes.swap_remove(place);
            let mut writer = rtcp::Writer::new(buf);
            writer.receiver_report(ssrc, &[]);
            writer.cname(ssrc, &self.cname);
            writer.bye(&[ssrc], "");
            return true;
        }
        let schedule = self
            .reports
            .iter_mut()
            .find(|schedule| schedule.transport == transport);
        if !schedule.is_some_and(|schedule| std::mem::take(&mut schedule.ready)) {
            return false;
        }
        self.write_reports(now, ntp, transport, buf)
    }

    /// A compound packet of sender and receiver reports (RFC 3550 §6.1).
    fn write_reports(
        &mut self,
        now: Instant,
        ntp: NtpTime,
        transport: usize,
        buf: &mut Vec<u8>,
    ) -> bool {
        let start = self.next_report;
        let mut blocks: Vec<ReportBlock> = Vec::new();
        let count = self.incoming.len();
        for offset in 0..count {
            let incoming = &mut self.incoming[(start + offset) % count];
            let here = incoming.transport == transport && !incoming.resting;
            if here && blocks.len() < MOST_REPORT_BLOCKS {
                blocks.extend(incoming.stream.report_block(now));
            }
        }
        let mut infos: Vec<rtcp::SenderInfo> = Vec::new();
        let count = self.outgoing.len();
        for offset in 0..count {
            let outgoing = &mut self.outgoing[(start + offset) % count];
            if outgoing.transport == transport && infos.len() < MOST_SENDER_REPORTS {
                infos.extend(outgoing.stream.sender_report(now, ntp));
            }
        }
        self.next_report = self.next_report.wrapping_add(1);
        if blocks.is_empty() && infos.is_empty() {
            return false;
        }
        let own = self.own_ssrc();
        let mut writer = rtcp::Writer::new(buf);
        match infos.split_first() {
            None => writer.receiver_report(own, &blocks),
            Some((first, others)) => {
                writer.sender_report(first, &blocks);
                for info in others {
                    writer.sender_report(info, &[]);
                }
            }
        }
        let named: Vec<(Ssrc, &str)> = match infos.is_empty() {
            true => vec![(own, self.cname.as_str())],
            false => infos
                .iter()
                .map(|info| (info.ssrc, self.cname.as_str()))
                .collect(),
        };
        writer.cnames(&named);
        true
    }
}
