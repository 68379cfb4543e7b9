//! Shows the output of tasks: byte for byte for one task, line by line with a prefix for many,
//! or as JSON lines.
//!
//! It remembers how far each stream was shown, so that output which arrives again after a broken
//! connection is not shown twice.

use std::collections::BTreeMap;
use std::io::{self, Write};

use proto::api::OutputChunk;

use api::json;

/// An unfinished line longer than this is shown as it is.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Unfinished lines that are kept at one time; beyond it the oldest is shown as it is.
const LINES_MAX: usize = 1024;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// How output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it came, with a prefix on each line where there are many elements.
    Plain,
    /// As it came.
    Raw,
    /// A JSON object a line.
    Json,
}

/// A stream of an attempt: task, index, attempt, stream.
type Stream = (u32, u32, u32, u32);

/// Where output is shown.
pub(crate) struct Output<O = io::Stdout, E = io::Stderr> {
    form: Form,
    run: Option<u64>,
    /// How many bytes of each stream were shown.
    seen: BTreeMap<Stream, u64>,
    lines: Lines,
    stdout: Sink<O>,
    stderr: Sink<E>,
}

impl Output {
    /// On this process's own stdout and stderr.
    pub(crate) fn new(form: Form) -> Output {
        Output::with(form, io::stdout(), io::stderr())
    }
}

impl<O: Write, E: Write> Output<O, E> {
    fn with(form: Form, stdout: O, stderr: E) -> Output<O, E> {
        Output {
            form,
            run: None,
            seen: BTreeMap::new(),
            lines: Lines::default(),
            stdout: Sink { inner: stdout, gone: false },
            stderr: Sink { inner: stderr, gone: false },
        }
    }

    /// Names the run in JSON.
    pub(crate) fn of_run(&mut self, run: u64) {
        self.run = Some(run);
    }

    /// Whether nobody reads stdout any more.
    pub(crate) fn reader_left(&self) -> bool {
        self.stdout.gone
    }

    /// Shows what of a chunk was not shown before.
    pub(crate) fn show(&mut self, mut chunk: OutputChunk) -> io::Result<()> {
        if !self.take_unseen(&mut chunk) {
            return Ok(());
        }
        if self.form == Form::Json {
            let line = json::Line::Output(json::Output::new(self.run, &chunk));
            let mut line = serde_json::to_vec(&line).map_err(io::Error::other)?;
            line.push(b'\n');
            return self.stdout.write(&line);
        }
        let mark = chunk.stream != STDOUT && chunk.stream != STDERR;
        if mark {
            let text = String::from_utf8_lossy(&chunk.data);
            // It says itself that it is Windlass's: `[windlass: 5 bytes of output dropped here: …]`.
            let line = format!("{}{}\n", prefix(&chunk), text.trim_end());
            return self.stderr.write(line.as_bytes());
        }
        if self.form == Form::Raw || !chunk.many {
            return self.write(chunk.stream, &chunk.data);
        }
        for (stream, line) in self.lines.add(&chunk) {
            self.write(stream, &line)?;
        }
        Ok(())
    }

    /// Shows lines that will never be finished.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        for (stream, line) in self.lines.rest() {
            self.write(stream, &line)?;
        }
        Ok(())
    }

    fn write(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        if stream == STDOUT { self.stdout.write(bytes) } else { self.stderr.write(bytes) }
    }

    /// Cuts off what was shown before; whether anything is left.
    fn take_unseen(&mut self, chunk: &mut OutputChunk) -> bool {
        let key = (chunk.task, chunk.index, chunk.attempt, chunk.stream);
        let seen = self.seen.entry(key).or_default();
        let end = chunk.offset + chunk.data.len() as u64;
        if end <= *seen {
            return false;
        }
        let known = seen.saturating_sub(chunk.offset);
        chunk.data.drain(..known as usize);
        chunk.offset += known;
        *seen = end;
        true
    }
}

/// A writer whose reader may leave: then it swallows the rest.
struct Sink<W> {
    inner: W,
    gone: bool,
}

impl<W: Write> Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        match self.inner.write_all(bytes).and_then(|()| self.inner.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            other => other,
        }
    }
}

/// Unfinished lines of many elements.
#[derive(Default)]
struct Lines {
    open: BTreeMap<Stream, Open>,
    /// Grows with each line that is begun, to find the oldest.
    clock: u64,
}

struct Open {
    begun: u64,
    text: Vec<u8>,
}

impl Lines {
    /// The lines that a chunk finishes, each with its stream, prefix and end.
    fn add(&mut self, chunk: &OutputChunk) -> Vec<(u32, Vec<u8>)> {
        let key = (chunk.task, chunk.index, chunk.attempt, chunk.stream);
        let prefix = prefix(chunk);
        let mut done = Vec::new();
        for piece in chunk.data.split_inclusive(|byte| *byte == b'\n') {
            self.clock += 1;
            let begun = self.clock;
            let open = self
                .open
                .entry(key)
                .or_insert_with(|| Open { begun, text: prefix.clone().into_bytes() });
            open.text.extend_from_slice(piece);
            if piece.ends_with(b"\n") || open.text.len() > LINE_BYTES_MAX {
                done.extend(self.close(key));
            }
        }
        if self.open.len() > LINES_MAX {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.begun).map(|(key, _)| *key);
            done.extend(oldest.and_then(|key| self.close(key)));
        }
        done
    }

    fn rest(&mut self) -> Vec<(u32, Vec<u8>)> {
        let keys: Vec<_> = self.open.keys().copied().collect();
        keys.into_iter().filter_map(|key| self.close(key)).collect()
    }

    fn close(&mut self, key: Stream) -> Option<(u32, Vec<u8>)> {
        let mut text = self.open.remove(&key)?.text;
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        Some((key.3, text))
    }
}

/// Whose line it is: `[37] `, or `[crunch 37] ` where the task has a name of its own.
fn prefix(chunk: &OutputChunk) -> String {
    match (chunk.many, chunk.task_name.as_str()) {
        (false, _) => String::new(),
        (true, "" | "main") => format!("[{}] ", chunk.index),
        (true, task) => format!("[{task} {}] ", chunk.index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Chunk(OutputChunk);

    fn chunk(index: u32, offset: u64, data: &[u8]) -> Chunk {
        Chunk(OutputChunk {
            index,
            offset,
            data: data.to_vec(),
            stream: STDOUT,
            attempt: 1,
            many: true,
            ..Default::default()
        })
    }

    fn check(form: Form, chunks: Vec<Chunk>, stdout: &str, stderr: &str) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::with(form, &mut out, &mut err);
        for chunk in chunks {
            output.show(chunk.0).unwrap();
        }
        output.finish().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), stdout);
        assert_eq!(String::from_utf8(err).unwrap(), stderr);
    }

    #[test]
    fn many_elements_are_told_apart_line_by_line() {
        let chunks = vec![
            chunk(1, 0, b"a\nb"),
            chunk(2, 0, b"x\n"),
            chunk(1, 3, b"c\n"),
            chunk(2, 2, b"end"),
        ];
        check(Form::Plain, chunks, "[1] a\n[2] x\n[1] bc\n[2] end\n", "");
    }

    #[test]
    fn raw_output_is_left_as_it_is() {
        check(Form::Raw, vec![chunk(1, 0, b"a\nb"), chunk(2, 0, b"x")], "a\nbx", "");
    }

    #[test]
    fn one_element_is_shown_byte_for_byte() {
        let mut one = chunk(0, 0, b"no newline");
        one.0.many = false;
        check(Form::Plain, vec![one], "no newline", "");
    }

    #[test]
    fn what_comes_again_is_shown_once() {
        let chunks = vec![
            chunk(1, 0, b"abc"),
            chunk(1, 0, b"ab"),
            chunk(1, 2, b"cd"),
            chunk(2, 0, b"-"),
            chunk(1, 0, b"abcde"),
        ];
        check(Form::Raw, chunks, "abcd-e", "");
    }

    #[test]
    fn a_mark_goes_to_stderr() {
        let mut mark = chunk(3, 0, b"[windlass: 5 bytes were dropped]");
        mark.0.stream = 3;
        check(Form::Plain, vec![mark], "", "[3] [windlass: 5 bytes were dropped]\n");
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let mut lines = Lines::default();
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        assert_eq!(lines.add(&chunk(1, 0, &long).0).len(), 1);
        for index in 0..=LINES_MAX as u32 {
            assert_eq!(
                lines.add(&chunk(index, 0, b"x").0).len(),
                usize::from(index == LINES_MAX as u32)
            );
        }
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut output = Output::with(Form::Raw, Closed, Vec::new());
        output.show(chunk(1, 0, b"x").0).unwrap();
        assert!(output.reader_left());
        output.show(chunk(1, 1, b"y").0).unwrap();
    }
}
