//! The files of one attempt that wrote more than its share, the oldest of which goes for the next.
//!
//! They exist so that one talkative task neither fills the segments that a million quiet ones
//! share, nor keeps them from being deleted. Beginning and end of an output are what people look
//! for: the share in the segments keeps the first, these files the last.

use std::io;

use model::Attempt;

use super::attempts::OwnFile;
use super::disk::Open;
use super::drain::{Drain, FLUSH_BYTES};
use super::sheet::{Sheet, What};
use crate::output::frame::{FileId, Header, Kind};
use crate::output::mark::Reason;

impl Drain {
    /// Adds a frame to the attempt's newest own file.
    pub(super) fn put_own(
        &mut self,
        header: Header,
        payload: &[u8],
        what: What,
    ) -> Result<(), Reason> {
        let attempt = header.attempt;
        let frame_bytes = header.frame_length();
        let fits =
            |of: &Attempt, sheet: &Sheet, max| *of == attempt && sheet.has_room(frame_bytes, max);
        let max = self.config.own_file_bytes;
        if self.own.as_ref().is_some_and(|(of, sheet)| !fits(of, sheet, max)) {
            self.close_own();
        }
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        if self.own.is_none() {
            let sheet = self.open_own(attempt, frame_bytes).map_err(|error| self.refuse(&error))?;
            self.own = Some((attempt, sheet));
        }
        let (_, sheet) = self.own.as_mut().expect("it was just opened");
        let offset = sheet.push(&header, payload, what);
        let (id, large) = (sheet.id, sheet.pending() >= FLUSH_BYTES);
        let live = self.live(attempt);
        live.extents.push(id.extent(offset, frame_bytes));
        if let (FileId::Own(_, number), true) = (id, header.kind != Kind::Mark) {
            live.own_file(number, |file| file.bytes += payload.len() as u64);
        }
        if large {
            self.close_own();
        }
        Ok(())
    }

    /// Goes on in the newest file if the frame fits there, else makes the next one.
    fn open_own(&mut self, attempt: Attempt, frame_bytes: u64) -> io::Result<Sheet> {
        let max = self.config.own_file_bytes;
        let own = self.live(attempt).own.get_or_insert_default();
        let newest = own.files.back().map_or(0, |file| file.number);
        let length = own.length.filter(|length| length + frame_bytes <= max);
        let buffer = std::mem::take(&mut self.spare_own);
        let (disk, dir) = (&*self.disk, &self.config.dir);
        if let Some(length) = length {
            return Sheet::reopen(disk, dir, FileId::Own(attempt, newest), length, buffer);
        }
        let id = FileId::Own(attempt, newest + 1);
        let sheet = Sheet::create(disk, dir, id, Open::Anew, buffer)?;
        let own = self.live(attempt).own.get_or_insert_default();
        own.length = None;
        own.files.push_back(OwnFile { number: newest + 1, bytes: 0 });
        self.rotate(attempt);
        Ok(sheet)
    }

    /// Deletes the oldest files beyond the limit; their bytes count as dropped.
    fn rotate(&mut self, attempt: Attempt) {
        let files_max = self.config.own_files.max(1) as usize;
        let live = self.attempts.entry(attempt).or_default();
        let Some(own) = &mut live.own else { return };
        while own.files.len() > files_max {
            let Some(oldest) = own.files.pop_front() else { return };
            live.dropped += oldest.bytes;
            live.extents.forget_own(oldest.number);
            live.fresh.forget_own(oldest.number);
            // One that cannot be deleted takes room, and is not read any more.
            let _ = self.disk.remove(&FileId::Own(attempt, oldest.number).path(&self.config.dir));
        }
    }

    /// Writes what is gathered for the open own file, and closes it: a thousand talkative attempts
    /// must not hold a thousand files open.
    pub(super) fn close_own(&mut self) {
        let Some((attempt, mut sheet)) = self.own.take() else { return };
        let flushed = sheet.flush(&*self.disk);
        let spoilt = flushed.spoilt;
        self.apply(sheet.id, flushed);
        if let Some(own) = &mut self.live(attempt).own {
            own.length = Some(sheet.length()).filter(|_| !spoilt);
            if sheet.length() == 0 {
                // It lacks its header; the next one takes its number.
                own.files.pop_back();
            }
        }
        self.spare_own = sheet.into_buffer();
    }
}
