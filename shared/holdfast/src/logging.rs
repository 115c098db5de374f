//! Log lines of the functions, on standard output, as Lambda's logging controls ask for them.

use std::str::FromStr;

use tracing_subscriber::filter::LevelFilter;

/// Begins logging. `AWS_LAMBDA_LOG_LEVEL`, else `RUST_LOG`, names the level (default `INFO`; a name
/// that is none means the default); `AWS_LAMBDA_LOG_FORMAT=JSON` writes each line as an object.
///
/// Lambda sets the first and the last (AWS Lambda, "Advanced logging controls"). The runtime crate's
/// own set-up also takes filters by module, for which it links a whole engine of regular expressions.
pub fn begin() {
    let variable = |name| std::env::var(name).ok();
    let level = variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG"));
    let json = variable("AWS_LAMBDA_LOG_FORMAT");
    let lines = tracing_subscriber::fmt()
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .with_max_level(level_of(level.as_deref()));
    // An error says that there is a subscriber already, which is as good.
    let _ = if json.is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        lines.json().try_init()
    } else {
        lines.try_init()
    };
}

fn level_of(name: Option<&str>) -> LevelFilter {
    let named = name.and_then(|name| match name.to_ascii_uppercase().as_str() {
        // Lambda's word for the gravest errors; there is none above ERROR here.
        "FATAL" => Some(LevelFilter::ERROR),
        other => LevelFilter::from_str(other).ok(),
    });
    named.unwrap_or(LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambdas_names_of_levels_are_understood_and_others_mean_info() {
        let cases = [
            (Some("TRACE"), LevelFilter::TRACE),
            (Some("debug"), LevelFilter::DEBUG),
            (Some("WARN"), LevelFilter::WARN),
            (Some("ERROR"), LevelFilter::ERROR),
            (Some("FATAL"), LevelFilter::ERROR),
            (Some("holdfast=debug"), LevelFilter::INFO),
            (None, LevelFilter::INFO),
        ];
        for (name, level) in cases {
            assert_eq!(level_of(name), level, "{name:?}");
        }
    }
}
