//! What attempts of one task have in common, made ready once for all of them.

use std::ffi::{CString, NulError, c_char};
use std::fmt::Write as _;

use model::{Attempt, Fence};

use crate::env;
use crate::user::User;

/// A task's program, arguments, environment, directory and user.
#[derive(Debug)]
pub struct Image {
    pub(super) programs: Vec<CString>,
    pub(super) argv: Vec<CString>,
    pub(super) env: Vec<CString>,
    pub(super) cwd: CString,
    pub(super) user: Option<User>,
    fence: Fence,
}

impl Image {
    /// Makes ready what every attempt shares. `env` holds each variable once; `user` is `None` for
    /// the supervisor's own.
    pub fn new(
        command: &[String],
        env: &[(String, String)],
        cwd: &str,
        user: Option<User>,
        fence: Fence,
    ) -> Result<Image, NulError> {
        let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, path)| path);
        let program = command.first().map_or("", String::as_str);
        let strings = |strings: Vec<String>| -> Result<Vec<CString>, NulError> {
            strings.into_iter().map(CString::new).collect()
        };
        Ok(Image {
            programs: strings(candidates(program, path))?,
            argv: strings(command.to_vec())?,
            env: strings(env.iter().map(|(name, value)| format!("{name}={value}")).collect())?,
            cwd: CString::new(if cwd.is_empty() { "/" } else { cwd })?,
            user,
            fence,
        })
    }

    /// The program as the job names it.
    pub fn program(&self) -> std::borrow::Cow<'_, str> {
        self.argv.first().map_or("".into(), |program| program.to_string_lossy())
    }

    /// The working directory.
    pub fn cwd(&self) -> std::borrow::Cow<'_, str> {
        self.cwd.to_string_lossy()
    }
}

/// Where a program may lie, as `execvp` looks for it: one with a slash is a path, from the working
/// directory where it is relative; any other is looked for in `path`, whose empty parts are the
/// working directory.
fn candidates(program: &str, path: &str) -> Vec<String> {
    if program.contains('/') || program.is_empty() {
        return vec![program.to_owned()];
    }
    let join = |dir: &str| {
        if dir.is_empty() { format!("./{program}") } else { format!("{dir}/{program}") }
    };
    path.split(':').map(join).collect()
}

/// The pointers `execve` takes, in buffers that are used again for the next attempt.
#[derive(Debug, Default)]
pub(super) struct Pointers {
    own: String,
    pub(super) programs: Vec<*const c_char>,
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
}

impl Pointers {
    /// Points to what `image` has, and to the variables that are `attempt`'s own.
    pub(super) fn point(&mut self, image: &Image, attempt: Attempt, item: Option<&str>) {
        fill(&mut self.programs, &image.programs);
        fill(&mut self.argv, &image.argv);
        fill(&mut self.envp, &image.env);
        self.envp.pop();
        self.own.clear();
        let element = attempt.element;
        // The item comes last, and only where there is one.
        let mut starts = [0; env::ATTEMPT_NAMES.len()];
        let starts = &mut starts[..env::ATTEMPT_NAMES.len() - usize::from(item.is_none())];
        let item = item.unwrap_or_default();
        let values: [&dyn std::fmt::Display; env::ATTEMPT_NAMES.len()] =
            [&element.uuid(), &element.index, &attempt.number, &image.fence, &item];
        for ((start, name), value) in starts.iter_mut().zip(env::ATTEMPT_NAMES).zip(values) {
            *start = self.own.len();
            write!(self.own, "{name}={value}\0").expect("a string grows as needed");
        }
        for start in starts.iter() {
            self.envp.push(self.own[*start..].as_ptr().cast());
        }
        self.envp.push(std::ptr::null());
    }
}

fn fill(pointers: &mut Vec<*const c_char>, strings: &[CString]) {
    pointers.clear();
    pointers.extend(strings.iter().map(|string| string.as_ptr()));
    pointers.push(std::ptr::null());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_execvp_does() {
        assert_eq!(candidates("ls", "/a:/b"), ["/a/ls", "/b/ls"]);
        assert_eq!(candidates("ls", "/a:"), ["/a/ls", "./ls"]);
        assert_eq!(candidates("./ls", "/a"), ["./ls"]);
        assert_eq!(candidates("/bin/ls", "/a"), ["/bin/ls"]);
    }
}
