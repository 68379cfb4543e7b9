//! The writer thread's work: one batch from the queue becomes frames in files.
//!
//! A batch is sorted by attempt first, so that the bytes of one lie together, share frames and make
//! one stretch. All frames for shared segments gather in one buffer: a batch is usually one write.
//!
//! When the disk refuses, the rest of the batch's output is dropped without asking it again, the
//! ends get one more try, and the next batch tries anew. An end is always told, written or not.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;

use model::{Attempt, Outcome, OutputRef};
use proto::supervisor::Extent;

use super::attempts::Live;
use super::disk::{Disk, Open, create_dir};
use super::queue::{Batch, Item};
use super::sheet::{Flushed, Sheet, What, reason};
use super::{Config, Written};
use crate::output::Stream;
use crate::output::extents::SEGMENTS_MAX;
use crate::output::frame::{End, FileId, Header, Kind, PAYLOAD_MAX, mark_payload, segment_number};
use crate::output::mark::Reason;

/// A buffer of this size is written though the batch has more.
pub(super) const FLUSH_BYTES: usize = 1 << 20;
/// Bytes this far apart in time do not share a frame: it has one time, by which readers merge.
const JOIN_US: u64 = 10_000;

/// The files being written and the attempts that write.
pub(super) struct Drain {
    pub(super) config: Config,
    pub(super) disk: Box<dyn Disk>,
    next_segment: u32,
    shared: Option<Sheet>,
    /// The open own file: of the attempt whose items are at hand, never of two.
    pub(super) own: Option<(Attempt, Sheet)>,
    /// Buffers to use again.
    spare: Vec<u8>,
    pub(super) spare_own: Vec<u8>,
    pub(super) attempts: HashMap<Attempt, Live>,
    /// Why the disk refused in this batch.
    pub(super) refused: Option<Reason>,
    /// Ends it refused.
    late: Vec<(Attempt, Box<Outcome>)>,
    written: Vec<Written>,
    /// Attempts that may have something to tell.
    touched: Vec<Attempt>,
}

/// Bytes of one attempt and stream that go into one frame.
struct Joined {
    attempt: Attempt,
    stream: Stream,
    time_us: u64,
    pieces: Vec<Range<usize>>,
    length: usize,
}

impl Drain {
    /// Makes the directory and begins behind its last segment.
    pub(super) fn new(config: Config, disk: Box<dyn Disk>) -> io::Result<Drain> {
        create_dir(&config.dir)?;
        let mut next_segment = 1;
        for entry in fs::read_dir(&config.dir)? {
            let number = entry?.file_name().to_str().and_then(segment_number);
            next_segment = next_segment.max(number.map_or(0, |number| number.saturating_add(1)));
        }
        Ok(Drain {
            config,
            disk,
            next_segment,
            shared: None,
            own: None,
            spare: Vec::new(),
            spare_own: Vec::new(),
            attempts: HashMap::new(),
            refused: None,
            late: Vec::new(),
            written: Vec::new(),
            touched: Vec::new(),
        })
    }

    /// Writes a batch; what to tell of it.
    pub(super) fn write(&mut self, batch: &Batch) -> Vec<Written> {
        self.refused = None;
        let mut order: Vec<&Item> = batch.items.iter().collect();
        order.sort_by_key(|item| item.attempt());
        let mut joined: Option<Joined> = None;
        for item in order {
            joined = self.item(batch, joined, item);
        }
        self.joined(batch, joined);
        self.close_own();
        self.flush_shared();
        self.late_ends();
        for attempt in std::mem::take(&mut self.touched) {
            self.tell(attempt);
        }
        std::mem::take(&mut self.written)
    }

    /// Handles an item, or joins it to those before it.
    fn item(&mut self, batch: &Batch, joined: Option<Joined>, item: &Item) -> Option<Joined> {
        if let Item::Bytes { attempt, stream, time_us, start, length } = *item {
            let piece = start..start + length;
            if let Some(mut joined) = joined {
                if joined.takes(attempt, stream, time_us, length) {
                    joined.length += length;
                    joined.pieces.push(piece);
                    return Some(joined);
                }
                self.joined(batch, Some(joined));
            }
            return Some(Joined { attempt, stream, time_us, pieces: vec![piece], length });
        }
        self.joined(batch, joined);
        match item {
            Item::Dropped { attempt, time_us, bytes } => {
                let live = self.attempts.entry(*attempt).or_default();
                live.lose(*time_us, *bytes, Reason::TooSlow);
            }
            Item::End { attempt, outcome } => self.end(*attempt, outcome.clone()),
            Item::Bytes { .. } => {}
        }
        None
    }

    fn joined(&mut self, batch: &Batch, joined: Option<Joined>) {
        let Some(Joined { attempt, stream, time_us, pieces, .. }) = joined else { return };
        if let [piece] = &pieces[..] {
            for payload in batch.bytes[piece.clone()].chunks(PAYLOAD_MAX) {
                self.output(attempt, stream, time_us, payload);
            }
        } else {
            let slices: Vec<&[u8]> = pieces.into_iter().map(|piece| &batch.bytes[piece]).collect();
            self.output(attempt, stream, time_us, &slices.concat());
        }
    }

    /// Puts bytes into the shared segment while the attempt has a share, then into its own files.
    fn output(&mut self, attempt: Attempt, stream: Stream, time_us: u64, payload: &[u8]) {
        let kind = match stream {
            Stream::Stdout => Kind::Stdout,
            Stream::Stderr => Kind::Stderr,
            Stream::Mark => return self.words(attempt, time_us, payload),
        };
        let left = self.share_left(attempt);
        if left > 0 && left < payload.len() {
            let (head, rest) = payload.split_at(left);
            self.output(attempt, stream, time_us, head);
            return self.output(attempt, stream, time_us, rest);
        }
        let bytes = payload.len() as u64;
        let result = self.prepare(attempt).and_then(|()| {
            let position = self.live(attempt).position;
            let what = What::Output { bytes, time_us, position };
            self.put(Header::new(kind, attempt, time_us, position, payload), payload, what)
        });
        let live = self.live(attempt);
        match result {
            Ok(()) => live.position += bytes,
            Err(reason) => live.lose(time_us, bytes, reason),
        }
    }

    fn words(&mut self, attempt: Attempt, time_us: u64, words: &[u8]) {
        let words = String::from_utf8_lossy(&words[..words.len().min(PAYLOAD_MAX / 4)]);
        // What the disk refuses of our own words is not missed.
        let _ = self.prepare(attempt).and_then(|()| {
            let position = self.live(attempt).position;
            let payload = mark_payload(0, &words);
            let header = Header::new(Kind::Mark, attempt, time_us, position, &payload);
            self.put(header, &payload, What::Words)
        });
    }

    /// How much more of the attempt goes into shared segments; 0 once it has its own files.
    fn share_left(&mut self, attempt: Attempt) -> usize {
        let max = self.config.shared_bytes_max;
        let live = self.live(attempt);
        let left = if live.own.is_some() { 0 } else { max.saturating_sub(live.shared_bytes) };
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Decides whether the attempt goes on in its own files, and marks what it lost so far.
    fn prepare(&mut self, attempt: Attempt) -> Result<(), Reason> {
        let share_left = self.share_left(attempt);
        let segment = match &self.shared {
            Some(Sheet { id: FileId::Segment(number), .. }) => *number,
            _ => self.next_segment,
        };
        let live = self.live(attempt);
        let scattered = live.extents.segments_with(segment) > SEGMENTS_MAX;
        if live.own.is_none() && (share_left == 0 || scattered) {
            // Its shared frames first: frames of an attempt reach the disk in order.
            live.own = Some(Default::default());
            self.flush_shared();
        }
        match self.refused {
            Some(reason) => Err(reason),
            None => self.mark_lost(attempt),
        }
    }

    fn mark_lost(&mut self, attempt: Attempt) -> Result<(), Reason> {
        let Some(lost) = self.attempts.get_mut(&attempt).and_then(|live| live.lost.take()) else {
            return Ok(());
        };
        let payload = mark_payload(lost.bytes, &lost.reason.mark(lost.bytes));
        let header = Header::new(Kind::Mark, attempt, lost.time_us, lost.position, &payload);
        let result = self.put(header, &payload, What::Mark(lost));
        if result.is_err() {
            self.live(attempt).miss(lost);
        }
        result
    }

    /// Adds a frame of output, or its mark, to the file where the attempt's output goes.
    fn put(&mut self, header: Header, payload: &[u8], what: What) -> Result<(), Reason> {
        let attempt = header.attempt;
        if self.live(attempt).own.is_some() {
            return self.put_own(header, payload, what);
        }
        let extent = self.put_shared(header, payload, what)?;
        let live = self.live(attempt);
        live.extents.push(extent);
        if header.kind != Kind::Mark {
            live.shared_bytes += payload.len() as u64;
        }
        self.flush_shared_if_large();
        Ok(())
    }

    fn put_shared(&mut self, header: Header, payload: &[u8], what: What) -> Result<Extent, Reason> {
        let room = |sheet: &Sheet| sheet.has_room(header.frame_length(), self.config.segment_bytes);
        if self.shared.as_ref().is_some_and(|sheet| !room(sheet)) {
            self.flush_shared();
            if let Some(full) = self.shared.take() {
                self.spare = full.into_buffer();
            }
        }
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        if self.shared.is_none() {
            self.shared = Some(self.new_segment().map_err(|error| self.refuse(&error))?);
        }
        let sheet = self.shared.as_mut().expect("it was just made");
        let offset = sheet.push(&header, payload, what);
        Ok(sheet.id.extent(offset, header.frame_length()))
    }

    fn new_segment(&mut self) -> io::Result<Sheet> {
        loop {
            let id = FileId::Segment(self.next_segment);
            let buffer = std::mem::take(&mut self.spare);
            self.next_segment += 1;
            match Sheet::create(&*self.disk, &self.config.dir, id, Open::New, buffer) {
                // Another supervisor, that of another version, writes here too.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
    }

    /// Notes that the disk refused; nothing more is asked of it in this batch.
    pub(super) fn refuse(&mut self, error: &io::Error) -> Reason {
        *self.refused.insert(reason(error))
    }

    fn flush_shared_if_large(&mut self) {
        if self.shared.as_ref().is_some_and(|sheet| sheet.pending() >= FLUSH_BYTES) {
            self.flush_shared();
        }
    }

    fn flush_shared(&mut self) {
        let Some(mut sheet) = self.shared.take() else { return };
        let flushed = sheet.flush(&*self.disk);
        let spoilt = flushed.spoilt;
        self.apply(sheet.id, flushed);
        if !spoilt {
            self.shared = Some(sheet);
            return;
        }
        if sheet.length() == 0 {
            // An empty file harms nobody if it cannot be deleted.
            let _ = self.disk.remove(&sheet.id.path(&self.config.dir));
        }
        self.spare = sheet.into_buffer();
    }

    /// Accounts for what became of a buffer.
    pub(super) fn apply(&mut self, file: FileId, flushed: Flushed) {
        self.refused = flushed.refused.or(self.refused);
        for entry in flushed.whole {
            if let (What::End(outcome), FileId::Segment(segment)) = (entry.what, file) {
                let at = OutputRef { segment, offset: entry.offset };
                self.finish(entry.attempt, outcome, Some(at));
            } else {
                let live = self.live(entry.attempt);
                if live.fresh.is_empty() {
                    self.touched.push(entry.attempt);
                }
                self.live(entry.attempt).fresh.push(file.extent(entry.offset, entry.length));
            }
        }
        let reason = flushed.refused.unwrap_or(Reason::NeverWritten);
        for entry in flushed.failed {
            if let What::End(outcome) = entry.what {
                self.late.push((entry.attempt, outcome));
            } else {
                self.live(entry.attempt).unwrite(file, entry, reason);
            }
        }
    }

    /// Puts the end frame into the shared segment, behind all of the attempt's output.
    fn end(&mut self, attempt: Attempt, mut outcome: Box<Outcome>) {
        if self.refused.is_none()
            && self.attempts.get(&attempt).is_some_and(|live| live.lost.is_some())
        {
            // If it fails the end is late, and tries once more.
            let _ = self.mark_lost(attempt);
        }
        self.close_own();
        if self.refused.is_some() {
            return self.late.push((attempt, outcome));
        }
        let mut extents = Vec::new();
        let mut position = 0;
        if let Some(live) = self.attempts.get(&attempt) {
            extents = live.extents.as_slice().to_vec();
            position = live.position;
            live.report(&mut outcome);
        }
        let payload = End::payload(&outcome, extents);
        let header = Header::new(Kind::End, attempt, outcome.ended_us, position, &payload);
        match self.put_shared(header, &payload, What::End(outcome.clone())) {
            Ok(_) => self.flush_shared_if_large(),
            Err(_) => self.late.push((attempt, outcome)),
        }
    }

    /// Gives refused ends one more try, without their output; then they are told as they are.
    fn late_ends(&mut self) {
        if self.late.is_empty() {
            return;
        }
        self.refused = None;
        for (attempt, outcome) in std::mem::take(&mut self.late) {
            self.end(attempt, outcome);
        }
        self.flush_shared();
        for (attempt, outcome) in std::mem::take(&mut self.late) {
            self.finish(attempt, outcome, None);
        }
    }

    fn finish(&mut self, attempt: Attempt, mut outcome: Box<Outcome>, at: Option<OutputRef>) {
        self.tell(attempt);
        outcome.output = None;
        if let Some(live) = self.attempts.remove(&attempt) {
            live.report(&mut outcome);
            outcome.output = at;
        }
        self.written.push(Written::Ended { attempt, outcome: *outcome });
    }

    fn tell(&mut self, attempt: Attempt) {
        let Some(live) = self.attempts.get_mut(&attempt) else { return };
        if !live.fresh.is_empty() {
            let extents = live.fresh.take();
            self.written.push(Written::Output { attempt, extents });
        }
    }

    pub(super) fn live(&mut self, attempt: Attempt) -> &mut Live {
        self.attempts.entry(attempt).or_default()
    }
}

impl Joined {
    fn takes(&self, attempt: Attempt, stream: Stream, time_us: u64, length: usize) -> bool {
        self.attempt == attempt
            && self.stream == stream
            && stream != Stream::Mark
            && self.length + length <= PAYLOAD_MAX
            && time_us.abs_diff(self.time_us) < JOIN_US
    }
}
