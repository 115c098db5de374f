//! The shell that the SSM document runs, as Systems Manager runs it: on file systems that are really
//! mounted and frozen where this machine permits it, and always on a recorded `fsfreeze` with a table
//! of mounts made up. Each test says on standard error which of the two it ran on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

/// What a shell says of a command that was killed.
const KILLED: i32 = 128 + 9;

fn infra(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra");
    fs::read_to_string(root.join(path)).unwrap()
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// A machine with two data file systems.
struct Machine {
    folder: TempDir,
    /// Whether they are really mounted.
    real: bool,
    /// Where they are mounted; the second one later.
    data: [String; 2],
    table: PathBuf,
}

impl Machine {
    /// With a recorded `fsfreeze` and this table of further mounts before the two.
    fn recorded_with(mounts: &[&str]) -> Self {
        let machine = Self::bare(false);
        let [one, two] = &machine.data;
        let mut table = String::from("21 1 8:1 / / rw - ext4 /dev/nvme0n1p1 rw\n");
        for line in mounts {
            table.push_str(line);
            table.push('\n');
        }
        table.push_str(&format!(
            "90 21 8:16 / {one} rw,noatime - ext4 /dev/nvme1n1 rw\n"
        ));
        table.push_str(&format!(
            "91 21 8:32 / {two} rw shared:7 - xfs /dev/nvme2n1 rw\n"
        ));
        fs::write(&machine.table, table).unwrap();
        // Frozen is what has a file of its name; a name in `broken` cannot be frozen. As the real
        // one, it refuses what is frozen and what is not. A name that `kills` ends who thaws it, once;
        // a name that is `stuck` cannot be thawed as many times as its file has lines.
        let state = machine.path("recorded");
        fs::create_dir_all(&state).unwrap();
        let state = state.display();
        executable(
            &machine.path("bin/fsfreeze"),
            &format!(
                "#!/bin/sh\necho \"$1 $2\" >>{state}/calls\nfile={state}/$(echo \"$2\" | tr / _)\n\
                 case $1 in\n--freeze) [ ! -e \"$file\" ] && [ ! -e \"$file.broken\" ] && \
                 : >\"$file\" ;;\n--unfreeze)\n\
                 if [ -e \"$file.kills\" ]; then rm \"$file.kills\"; kill -9 $PPID; exit 1; fi\n\
                 if [ -s \"$file.stuck\" ]; then sed -i 1d \"$file.stuck\"; exit 1; fi\n\
                 rm \"$file\" ;;\nesac\n"
            ),
        );
        machine
    }

    /// With file systems in files, mounted by the kernel; none where that is not permitted.
    fn real() -> Option<Self> {
        let mut machine = Self::bare(true);
        machine.table = PathBuf::from("/proc/self/mountinfo");
        for (n, mount) in machine.data.iter().enumerate() {
            let image = machine.path(&format!("image-{n}"));
            let image = image.to_str().unwrap();
            fs::File::create(image).unwrap().set_len(8 << 20).unwrap();
            let made =
                run("mkfs.ext4", &["-q", image]) && run("mount", &["-o", "loop", image, mount]);
            if !made {
                return None;
            }
        }
        // Permission to mount is not yet permission to freeze.
        let one = &machine.data[0];
        let freezes = run("fsfreeze", &["--freeze", one]) && run("fsfreeze", &["--unfreeze", one]);
        freezes.then_some(machine)
    }

    /// Both kinds, as far as there are both.
    fn all() -> Vec<Self> {
        let mut all = vec![Self::recorded_with(&[])];
        all.extend(Self::real());
        for machine in &all {
            let kind = if machine.real {
                "real loop mounts"
            } else {
                "a recorded fsfreeze"
            };
            eprintln!("on {kind}");
        }
        all
    }

    fn bare(real: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let data = ["data", "log"].map(|name| {
            let path = root.join(name);
            fs::create_dir(&path).unwrap();
            path.to_str().unwrap().to_owned()
        });
        fs::create_dir(root.join("bin")).unwrap();
        // The timer waits until the test lets it fire; between attempts to thaw nobody waits; any
        // other sleep is the real one.
        let gate = root.join("gate");
        assert!(run("mkfifo", &[gate.to_str().unwrap()]));
        assert!(run("mkfifo", &[root.join("thawed").to_str().unwrap()]));
        executable(
            &root.join("bin/sleep"),
            &format!(
                "#!/bin/sh\ncase $1 in\n0.2|5) ;;\n60) read -r _ <{} ;;\n\
                 *) exec /bin/sleep \"$@\" ;;\nesac\n",
                gate.display()
            ),
        );
        let machine = Self {
            table: root.join("mountinfo"),
            folder,
            real,
            data,
        };
        let [one, two] = &machine.data;
        machine.configure(&format!("MOUNTS='{one} {two}'"));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn configure(&self, words: &str) {
        fs::write(self.path("freeze.conf"), format!("{words}\n")).unwrap();
    }

    /// The exit code of a command.
    fn call(&self, command: &str, execution: &str) -> i32 {
        self.output(command, execution).status.code().unwrap()
    }

    fn output(&self, command: &str, execution: &str) -> Output {
        // Systems Manager puts the parameters in and has `sh` run the file.
        let text = infra("ssm/freeze.sh")
            .replace("{{ command }}", command)
            .replace("{{ executionId }}", execution);
        let script = self.path(&format!("{command}-{}.sh", execution.replace('/', "_")));
        executable(&script, &text);
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            self.path("bin").display()
        );
        Command::new("sh")
            .arg("-c")
            .arg(&script)
            .env("HOLDFAST_PATH", path)
            .env("HOLDFAST_STATE", self.path("state"))
            .env("HOLDFAST_MOUNTINFO", &self.table)
            .env("HOLDFAST_CONFIG", self.path("freeze.conf"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Whether a file system is frozen: another freeze is refused then.
    fn is_frozen(&self, mount: &str) -> bool {
        if !self.real {
            return self.recorded(mount).exists();
        }
        if run("fsfreeze", &["--freeze", mount]) {
            assert!(run("fsfreeze", &["--unfreeze", mount]));
            return false;
        }
        true
    }

    fn frozen(&self) -> [bool; 2] {
        [0, 1].map(|n| self.is_frozen(&self.data[n]))
    }

    fn recorded(&self, mount: &str) -> PathBuf {
        self.path("recorded").join(mount.replace('/', "_"))
    }

    /// Makes the freeze of a file system fail: it is broken, or somebody else holds it.
    fn break_freeze(&self, mount: &str) {
        if self.real {
            assert!(run("fsfreeze", &["--freeze", mount]));
        } else {
            let file = self.recorded(mount);
            fs::write(format!("{}.broken", file.display()), "").unwrap();
        }
    }

    /// Ends whoever thaws this recorded file system first, before it is thawed.
    fn kill_thaw(&self, mount: &str) {
        fs::write(format!("{}.kills", self.recorded(mount).display()), "").unwrap();
    }

    /// Makes so many attempts fail to thaw this recorded file system.
    fn break_thaw(&self, mount: &str, times: usize) {
        let file = format!("{}.stuck", self.recorded(mount).display());
        fs::write(file, "\n".repeat(times)).unwrap();
    }

    /// Waits until the freeze that stands is over.
    fn wait_until_released(&self) {
        while self.path("state/current").symlink_metadata().is_ok() {
            std::thread::yield_now();
        }
    }

    /// Lets the timer fire.
    fn time_passes(&self) {
        fs::write(self.path("gate"), "\n").unwrap();
    }

    /// Waits for `after_thaw` of [`Self::tell_thaws`].
    fn wait_for_thaw(&self) {
        let mut told = String::new();
        let mut pipe = fs::File::open(self.path("thawed")).unwrap();
        pipe.read_to_string(&mut told).unwrap();
        assert_eq!(told, "thawed\n");
    }

    /// Has `after_thaw` tell [`Self::wait_for_thaw`].
    fn tell_thaws(&self) {
        let [one, two] = &self.data;
        let pipe = self.path("thawed");
        self.configure(&format!(
            "MOUNTS='{one} {two}'\nafter_thaw() {{ echo thawed >{}; }}",
            pipe.display()
        ));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Ends the timer that waits, if one does, and leaves nothing frozen or mounted.
        let gate = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path("gate"));
        drop(gate.map(|mut gate| std::io::Write::write_all(&mut gate, b"\n")));
        if self.real {
            for mount in &self.data {
                run("fsfreeze", &["--unfreeze", mount]);
                run("umount", &["--lazy", mount]);
            }
        }
    }
}

#[test]
fn the_document_in_the_template_runs_this_very_shell_with_awss_own_parameters() {
    let template: Value = serde_saphyr::from_str(&infra("template.yaml")).unwrap();
    let content = &template["Resources"]["FreezeDocument"]["Properties"]["Content"];
    let [step] = content["mainSteps"].as_array().unwrap().as_slice() else {
        panic!("{content}");
    };
    assert_eq!(step["action"], "aws:runShellScript");
    let lines = &step["inputs"]["runCommand"];
    assert_eq!(lines.as_array().unwrap().len(), 1);
    let shell = infra("ssm/freeze.sh");
    assert_eq!(
        lines[0].as_str().unwrap(),
        shell,
        "copy infra/ssm/freeze.sh into it"
    );
    let commands = &content["parameters"]["command"]["allowedValues"];
    assert_eq!(
        *commands,
        serde_json::json!(["pre-script", "post-script", "dry-run"])
    );
    let names: Vec<&String> = content["parameters"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 2);
    assert!(content["parameters"].get("executionId").is_some());
    // Systems Manager would take any other for one of its own.
    assert_eq!(shell.matches("{{").count(), 2);
}

#[test]
fn writes_are_held_from_the_pre_script_to_the_post_script() {
    for machine in Machine::all() {
        assert_eq!(machine.frozen(), [false, false]);
        assert_eq!(machine.call("pre-script", ONE), 0);
        assert_eq!(machine.frozen(), [true, true]);
        assert_eq!(machine.call("post-script", ONE), 0);
        assert_eq!(machine.frozen(), [false, false]);
        // The machine is as before, and the next freeze is another.
        assert_eq!(machine.call("pre-script", TWO), 0);
        assert_eq!(machine.call("post-script", TWO), 0);
        assert_eq!(machine.frozen(), [false, false]);
    }
}

#[test]
fn a_repeated_script_of_one_execution_succeeds_and_changes_nothing() {
    for machine in Machine::all() {
        assert_eq!(machine.call("pre-script", ONE), 0);
        assert_eq!(machine.call("pre-script", ONE), 0);
        assert_eq!(machine.frozen(), [true, true]);
        assert_eq!(machine.call("post-script", ONE), 0);
        assert_eq!(machine.call("post-script", ONE), 0);
        assert_eq!(machine.frozen(), [false, false]);
    }
}

#[test]
fn scripts_in_the_wrong_order_are_refused_with_awss_codes() {
    for machine in Machine::all() {
        assert_eq!(machine.call("post-script", ONE), 205);
        // Its pre-script was late: held now, nobody would let it go.
        assert_eq!(machine.call("pre-script", ONE), 204);
        assert_eq!(machine.frozen(), [false, false]);
        assert_eq!(machine.call("pre-script", TWO), 0);
        // Another's freeze is neither joined nor ended.
        let third = ONE.replace('1', "3");
        assert_eq!(machine.call("pre-script", &third), 204);
        assert_eq!(machine.call("post-script", &third), 205);
        assert_eq!(machine.frozen(), [true, true]);
        assert_eq!(machine.call("post-script", TWO), 0);
    }
}

#[test]
fn the_timer_lets_writes_go_when_nobody_does_and_the_post_script_says_so() {
    for machine in Machine::all() {
        machine.tell_thaws();
        assert_eq!(machine.call("pre-script", ONE), 0);
        assert_eq!(machine.frozen(), [true, true]);
        machine.time_passes();
        machine.wait_for_thaw();
        assert_eq!(machine.frozen(), [false, false]);
        machine.configure("");
        assert_eq!(machine.call("post-script", ONE), 203);
        // And nothing stays behind that would stand in the way of the next.
        machine.configure(&format!("MOUNTS='{}'", machine.data[0]));
        machine.wait_until_released();
        assert_eq!(machine.call("pre-script", TWO), 0);
        assert_eq!(machine.frozen(), [true, false]);
        assert_eq!(machine.call("post-script", TWO), 0);
    }
}

#[test]
fn when_one_file_system_cannot_be_frozen_the_others_are_let_go_and_the_pre_script_fails() {
    for machine in Machine::all() {
        // The one mounted last is frozen first, so that it is the one to be let go.
        machine.break_freeze(&machine.data[0]);
        assert_eq!(machine.call("pre-script", ONE), 201);
        assert!(!machine.is_frozen(&machine.data[1]));
        // What somebody else holds is theirs.
        assert_eq!(machine.is_frozen(&machine.data[0]), machine.real);
        assert_eq!(machine.call("post-script", ONE), 205);
    }
}

#[test]
fn what_a_killed_post_script_left_frozen_the_timer_lets_go() {
    let machine = Machine::recorded_with(&[]);
    assert_eq!(machine.call("pre-script", ONE), 0);
    machine.kill_thaw(&machine.data[0]);
    assert_eq!(machine.call("post-script", ONE), KILLED);
    assert!(machine.is_frozen(&machine.data[0]));
    // The file system is still held, so that nobody else is to freeze.
    assert_eq!(machine.call("pre-script", TWO), 204);
    machine.time_passes();
    machine.wait_until_released();
    assert_eq!(machine.frozen(), [false, false]);
    // The post-script had come in time.
    assert_eq!(machine.call("post-script", ONE), 0);
}

#[test]
fn a_repeated_post_script_thaws_what_a_killed_one_left_frozen() {
    let machine = Machine::recorded_with(&[]);
    assert_eq!(machine.call("pre-script", ONE), 0);
    machine.kill_thaw(&machine.data[1]);
    assert_eq!(machine.call("post-script", ONE), KILLED);
    assert_eq!(machine.frozen(), [true, true]);
    assert_eq!(machine.call("post-script", ONE), 0);
    assert_eq!(machine.frozen(), [false, false]);
    machine.wait_until_released();
}

#[test]
fn a_post_script_killed_before_it_said_who_it_is_is_not_taken_for_one_that_came_in_time() {
    for machine in Machine::all() {
        assert_eq!(machine.call("pre-script", ONE), 0);
        // What a kill right after the claim leaves.
        let over = machine.path("state/over").join(ONE);
        fs::rename(machine.path(&format!("state/held-{ONE}")), over).unwrap();
        machine.time_passes();
        machine.wait_until_released();
        assert_eq!(machine.frozen(), [false, false]);
        assert_eq!(machine.call("post-script", ONE), 203);
    }
}

#[test]
fn what_a_failed_pre_script_could_not_thaw_is_told_and_tried_again_by_the_timer() {
    let machine = Machine::recorded_with(&[]);
    let [one, two] = &machine.data;
    // The one mounted last is frozen first.
    machine.break_freeze(one);
    // Five attempts of the pre-script, five of the post-script.
    machine.break_thaw(two, 10);
    assert_eq!(machine.call("pre-script", ONE), 201);
    assert!(machine.is_frozen(two));
    // Not 205: something is held still.
    assert_eq!(machine.call("post-script", ONE), 202);
    assert!(machine.is_frozen(two));
    machine.time_passes();
    machine.wait_until_released();
    assert!(!machine.is_frozen(two));
    assert_eq!(machine.call("post-script", ONE), 205);
}

#[test]
fn a_thaw_that_fails_once_is_tried_again_at_once() {
    let machine = Machine::recorded_with(&[]);
    assert_eq!(machine.call("pre-script", ONE), 0);
    machine.break_thaw(&machine.data[0], 1);
    assert_eq!(machine.call("post-script", ONE), 0);
    assert_eq!(machine.frozen(), [false, false]);
}

#[test]
fn what_the_machine_runs_on_is_never_frozen() {
    let table = [
        "22 21 8:2 / /boot rw - xfs /dev/nvme0n1p2 rw",
        "23 21 8:48 / /var rw - ext4 /dev/nvme3n1 rw",
        "24 21 8:49 / /var/lib/mysql rw - xfs /dev/nvme4n1 rw",
        // The root file system once more, under another name.
        "25 21 8:1 /srv /export rw - ext4 /dev/nvme0n1p1 rw",
        // A subvolume of what holds /usr, with a device number of its own.
        "26 21 0:40 /usr /usr rw - btrfs /dev/nvme5n1 rw",
        "27 21 0:41 /home /home rw - btrfs /dev/nvme5n1 rw",
        "28 21 0:5 / /dev/shm rw - tmpfs tmpfs rw",
        "29 21 0:50 / /mnt/share rw - nfs4 server:/share rw",
        "30 21 8:64 / /mnt/iso ro - ext4 /dev/nvme6n1 ro",
        "31 21 8:49 /sub /mnt/sub rw - xfs /dev/nvme4n1 rw",
    ];
    let machine = Machine::recorded_with(&table);
    machine.configure("");
    assert_eq!(machine.call("pre-script", ONE), 0);
    let calls = fs::read_to_string(machine.path("recorded/calls")).unwrap();
    let frozen: Vec<&str> = calls.lines().collect();
    let [one, two] = &machine.data;
    // Once each, the one mounted last first: the database's volume by its later name.
    let expected = [
        format!("--freeze {two}"),
        format!("--freeze {one}"),
        "--freeze /mnt/sub".to_owned(),
    ];
    assert_eq!(frozen, expected);
    assert_eq!(machine.call("post-script", ONE), 0);

    for asked in ["/", "/var", "/export", "/home", "/mnt/share", "/nowhere"] {
        let machine = Machine::recorded_with(&table);
        machine.configure(&format!("MOUNTS='{} {asked}'", machine.data[0]));
        let output = machine.output("pre-script", ONE);
        assert_eq!(output.status.code(), Some(201), "{asked}");
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains(&format!("holdfast: {asked} ")), "{words}");
        assert!(!machine.path("recorded/calls").exists(), "{asked}");
    }
}

#[test]
fn a_machine_without_data_file_systems_is_not_called_consistent() {
    let machine = Machine::recorded_with(&[]);
    fs::write(&machine.table, "21 1 8:1 / / rw - ext4 /dev/nvme0n1p1 rw\n").unwrap();
    machine.configure("");
    assert_eq!(machine.call("pre-script", ONE), 201);
    // Unless its owner says that the hooks are all it needs.
    machine.configure("HOOKS_SUFFICE=yes");
    assert_eq!(machine.call("pre-script", TWO), 0);
    assert_eq!(machine.call("post-script", TWO), 0);
}

#[test]
fn hooks_run_around_the_freeze_and_a_failing_one_ends_it() {
    let machine = Machine::recorded_with(&[]);
    let (one, log) = (&machine.data[0], machine.path("recorded/calls"));
    let log = log.display();
    machine.configure(&format!(
        "MOUNTS='{one}'\nbefore_freeze() {{ echo before >>{log}; }}\n\
         after_thaw() {{ echo after >>{log}; }}"
    ));
    assert_eq!(machine.call("pre-script", ONE), 0);
    assert_eq!(machine.call("post-script", ONE), 0);
    let calls = fs::read_to_string(machine.path("recorded/calls")).unwrap();
    let expected = format!("before\n--freeze {one}\n--unfreeze {one}\nafter\n");
    assert_eq!(calls, expected);

    machine.configure(&format!("MOUNTS='{one}'\nbefore_freeze() {{ false; }}"));
    assert_eq!(machine.call("pre-script", TWO), 201);
    assert_eq!(machine.frozen(), [false, false]);
}

#[test]
fn without_a_timer_nothing_is_frozen() {
    for machine in Machine::all() {
        // Nothing can be started in a session of its own.
        executable(&machine.path("bin/setsid"), "#!/bin/sh\nexit 1\n");
        executable(&machine.path("bin/sleep"), "#!/bin/sh\nexit 0\n");
        assert_eq!(machine.call("pre-script", ONE), 201);
        assert_eq!(machine.frozen(), [false, false]);
        // And the timer's length is what the configuration says, within bounds.
        for length in ["0", "301", "soon"] {
            machine.configure(&format!("AUTO_THAW={length}"));
            assert_eq!(machine.call("pre-script", TWO), 201);
        }
    }
}

#[test]
fn a_dry_run_and_a_command_without_execution_hold_nothing() {
    for machine in Machine::all() {
        assert_eq!(machine.call("dry-run", "None"), 0);
        assert_eq!(machine.call("pre-script", "None"), 201);
        assert_eq!(machine.call("pre-script", "../../etc"), 201);
        assert_eq!(machine.frozen(), [false, false]);
    }
}
