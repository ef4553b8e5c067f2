//! A scheduler and two executors on this machine, and what becomes of a query when one of them dies.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{folder_with_model, parquet, sorted, sql, stdout};

/// No step takes longer unless something hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Parquet files, each a task.
const FILES: usize = 16;
/// Rows of each; so many that a task takes a good part of a second.
const ROWS: usize = 400;
const QUERY: &str = "SELECT id, timesclip_predict('waves', acc_x, acc_y) AS label, \
                     timesclip_probabilities('waves', acc_x, acc_y)['fast'] AS fast \
                     FROM 'data/*.parquet'";

/// A process that ends with the test.
struct Server(Child);

impl Server {
    fn start(program: &str, folder: &Path, name: &str, args: &[String]) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).expect("a log");
        let child = Command::new(program)
            .args(args)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.expect("the server starts"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A scheduler and two executors in a folder with a model and data.
struct Cluster {
    folder: tempfile::TempDir,
    scheduler: u16,
    executors: [Server; 2],
    _scheduler: Server,
}

impl Cluster {
    fn start() -> Self {
        let (folder, _) = folder_with_model();
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        for file in 0..FILES {
            let path = folder.path().join(format!("data/{file:02}.parquet"));
            parquet(&path, file * ROWS..(file + 1) * ROWS);
        }
        let ports = free_ports();
        let scheduler = Server::start(
            env!("CARGO_BIN_EXE_timesclip-scheduler"),
            folder.path(),
            "scheduler",
            &flags(&[
                ("--bind-host", "127.0.0.1".to_owned()),
                ("--external-host", "127.0.0.1".to_owned()),
                ("--bind-port", ports[0].to_string()),
                ("--executor-timeout-seconds", "4".to_owned()),
                ("--expire-dead-executor-interval-seconds", "1".to_owned()),
            ]),
        );
        wait("the scheduler listens", || listens(ports[0]));
        let executor = |number: usize| {
            let work = folder.path().join(format!("work-{number}"));
            std::fs::create_dir(&work).expect("a folder");
            let port = |i: usize| ports[1 + 3 * number + i].to_string();
            Server::start(
                env!("CARGO_BIN_EXE_timesclip-executor"),
                folder.path(),
                &format!("executor-{number}"),
                &flags(&[
                    ("--scheduler-host", "127.0.0.1".to_owned()),
                    ("--scheduler-port", ports[0].to_string()),
                    ("--bind-host", "127.0.0.1".to_owned()),
                    ("--external-host", "127.0.0.1".to_owned()),
                    ("--bind-port", port(0)),
                    ("--bind-grpc-port", port(1)),
                    ("--bind-health-port", port(2)),
                    ("--vcores", "1".to_owned()),
                    ("--executor-heartbeat-interval-seconds", "1".to_owned()),
                    ("--work-dir", work.display().to_string()),
                ]),
            )
        };
        let executors = [executor(0), executor(1)];
        for number in 0..2 {
            wait("the executors listen", || listens(ports[1 + 3 * number]));
        }
        Self {
            scheduler: ports[0],
            executors,
            _scheduler: scheduler,
            folder,
        }
    }

    /// The query on the cluster, running.
    fn query(&self, out: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timesclip-sql"));
        command
            .args([QUERY, "--model", "waves=waves.safetensors", "--out", out])
            .args(["--scheduler", &format!("127.0.0.1:{}", self.scheduler)])
            .args(["--partitions", &FILES.to_string()])
            .current_dir(self.folder.path());
        command.spawn().expect("the command starts")
    }

    fn rows(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(file)).expect("rows");
        sorted(&text)
    }

    /// Finished parts of results that an executor holds.
    fn n_parts(&self, executor: usize) -> usize {
        let mut folders = vec![self.folder.path().join(format!("work-{executor}"))];
        let mut n_parts = 0;
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false => n_parts += usize::from(is_part(&path)),
                }
            }
        }
        n_parts
    }
}

fn is_part(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "arrow")
}

fn flags(flags: &[(&str, String)]) -> Vec<String> {
    let flags = flags.iter();
    flags
        .flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()])
        .collect()
}

/// Ports that nobody listens on, for a scheduler and two executors of three each.
fn free_ports() -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..7)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"))
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    listeners.iter().map(port).collect()
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_answers_like_one_process_and_survives_the_death_of_an_executor() {
    let mut cluster = Cluster::start();
    let folder = cluster.folder.path();
    let alone = sql(folder, &[QUERY, "--model", "waves=waves.safetensors"]);
    assert!(alone.status.success(), "{alone:?}");
    let alone = sorted(&stdout(&alone));
    assert_eq!(alone.len(), FILES * ROWS + 1);

    let mut query = cluster.query("whole.csv");
    assert!(query.wait().expect("an end").success(), "the query fails");
    assert_eq!(cluster.rows("whole.csv"), alone);
    for executor in 0..2 {
        assert!(
            cluster.n_parts(executor) > 0,
            "executor {executor} did nothing"
        );
    }

    let before = cluster.n_parts(1);
    let mut query = cluster.query("survived.csv");
    wait("the executor has finished a part", || {
        cluster.n_parts(1) > before
    });
    cluster.executors[1].0.kill().expect("a kill");
    let running = query.try_wait().expect("a state").is_none();
    assert!(running, "the query was over before the executor died");
    wait("the query ends", || {
        query.try_wait().expect("a state").is_some()
    });
    assert!(query.wait().expect("an end").success(), "the query fails");
    assert_eq!(
        cluster.rows("survived.csv"),
        alone,
        "no row lost, none doubled"
    );
}
