//! The bare loop of the benchmark as a process of its own: `bare_loop COUNT THREADS`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let [count, threads] = numbers[..] else {
        eprintln!("usage: bare_loop COUNT THREADS");
        return ExitCode::from(2);
    };
    match runner::bare::run(count, threads) {
        Ok(took) => {
            println!("{:.6}", took.as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}: {:?}", std::error::Error::source(&error));
            ExitCode::FAILURE
        }
    }
}
