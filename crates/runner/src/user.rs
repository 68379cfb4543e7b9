//! Users by name, from `/etc/passwd` and `/etc/group` alone.
//!
//! The C library's lookup may load modules and ask servers, which a supervisor must not wait for.

use std::fs;

/// A user that processes can be started as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, or the number where the id has no name.
    pub name: String,
    /// The user's id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// Every group, the primary one among them.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
}

/// Why no process can be started as that user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is in no file.
    #[error("user `{0}` is not in /etc/passwd")]
    Unknown(String),
    /// Only root can become somebody else.
    #[error(
        "cannot run as `{wanted}`: this node runs as `{own}`, and only root may change the user"
    )]
    NotRoot {
        /// Who was asked for.
        wanted: String,
        /// Who we are.
        own: String,
    },
}

impl User {
    /// Whom this process runs as.
    pub fn own() -> User {
        let uid = rustix::process::getuid().as_raw();
        find(|user| user.uid == uid).unwrap_or_else(|| User {
            name: uid.to_string(),
            uid,
            gid: rustix::process::getgid().as_raw(),
            groups: Vec::new(),
            home: "/".to_owned(),
            shell: "/bin/sh".to_owned(),
        })
    }

    /// Whom to start processes as when `run_as` is asked of a process of `own`; the flag says
    /// whether the user has to be changed at all.
    pub fn resolve(run_as: &str, own: &User) -> Result<(User, bool), Error> {
        if run_as.is_empty() || run_as == own.name {
            return Ok((own.clone(), false));
        }
        if own.uid != 0 {
            let (wanted, own) = (run_as.to_owned(), own.name.clone());
            return Err(Error::NotRoot { wanted, own });
        }
        let user = find(|user| user.name == run_as);
        Ok((user.ok_or_else(|| Error::Unknown(run_as.to_owned()))?, true))
    }
}

fn find(wanted: impl Fn(&User) -> bool) -> Option<User> {
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    let mut user = parse(&String::from_utf8_lossy(&passwd), wanted)?;
    let groups = fs::read("/etc/group").unwrap_or_default();
    user.groups = groups_of(&user, &String::from_utf8_lossy(&groups));
    Some(user)
}

fn parse(passwd: &str, wanted: impl Fn(&User) -> bool) -> Option<User> {
    let user = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
        Some(User {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            groups: Vec::new(),
            home: or(home, "/"),
            shell: or(shell, "/bin/sh"),
        })
    };
    passwd.lines().filter_map(user).find(wanted)
}

fn groups_of(user: &User, groups: &str) -> Vec<u32> {
    let mut found = vec![user.gid];
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields[..] else { continue };
        let Ok(gid) = gid.parse() else { continue };
        if members.split(',').any(|member| member == user.name) && !found.contains(&gid) {
            found.push(gid);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nann:x:7:8::/home/ann:\n";

    #[test]
    fn a_user_is_read_with_all_groups() {
        let ann = parse(PASSWD, |user| user.name == "ann").unwrap();
        assert_eq!((ann.uid, ann.gid, &*ann.home, &*ann.shell), (7, 8, "/home/ann", "/bin/sh"));
        let groups = "ann:x:8:ann\nwheel:x:10:bob,ann\nother:x:11:anna\n";
        assert_eq!(groups_of(&ann, groups), [8, 10]);
    }

    #[test]
    fn who_cannot_be_had_is_refused_with_the_reason() {
        let ann = parse(PASSWD, |user| user.name == "ann").unwrap();
        let error = User::resolve("root", &ann).unwrap_err();
        assert!(error.to_string().contains("runs as `ann`"), "{error}");
        let root = parse(PASSWD, |user| user.uid == 0).unwrap();
        let error = User::resolve("no-such-user", &root).unwrap_err();
        assert_eq!(error.to_string(), "user `no-such-user` is not in /etc/passwd");
        assert_eq!(User::resolve("", &ann).unwrap(), (ann, false));
    }
}
