//! A real file system of a few megabytes, which can be filled and emptied.
//!
//! A tmpfs in a mount namespace of its own: as root, or without it where the kernel lets users
//! have namespaces. Programs enter it with `nsenter`; the test looks in through `/proc`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use tempfile::TempDir;

/// What mounts it and keeps it until its standard input is closed.
const HOLD: &str = "mount -t tmpfs -o size=$1m tmpfs \"$2\" && echo mounted && exec cat";

pub struct SmallDisk {
    holder: Child,
    /// The holder ends when this is closed, also when the test is killed.
    _held: Option<ChildStdin>,
    as_root: bool,
    place: TempDir,
}

impl SmallDisk {
    /// Mounts one.
    ///
    /// # Panics
    /// Where the machine lets nobody mount anything: passing without a test would be worse.
    pub fn mount(megabytes: u32) -> SmallDisk {
        let place = tempfile::tempdir().unwrap();
        for (as_root, flags) in [(true, "-m"), (false, "-Urm")] {
            let mut unshare = Command::new("unshare");
            unshare.args([flags, "sh", "-c", HOLD, "sh", &megabytes.to_string()]);
            unshare.arg(place.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut holder = unshare.stderr(Stdio::null()).spawn().expect("`unshare` (util-linux)");
            let mut said = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
            if said == "mounted\n" {
                let held = holder.stdin.take();
                return SmallDisk { holder, _held: held, as_root, place };
            }
            holder.wait().unwrap();
        }
        panic!(
            "a small disk can't be mounted: run this test as root, or allow user namespaces \
             (`unshare -Urm true` must work), or let a container have CAP_SYS_ADMIN"
        );
    }

    /// Where programs on it find it.
    pub fn inside(&self) -> &Path {
        self.place.path()
    }

    /// Where the test finds it.
    pub fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.path().strip_prefix("/").unwrap())
    }

    /// A command that runs where the disk is mounted.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        if !self.as_root {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.args(["-m", "-t", &self.holder.id().to_string()]).arg(program);
        command
    }

    /// Takes all the room that there is, but for so many bytes.
    pub fn fill(&self, leaving_bytes: u64) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        let page = [7; 4096];
        while ballast.write_all(&page).is_ok() {}
        let full = ballast.metadata().unwrap().len();
        ballast.set_len(full.saturating_sub(leaving_bytes)).unwrap();
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.outside().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
