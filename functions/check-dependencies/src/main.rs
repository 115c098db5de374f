//! The Lambda function `check-dependencies`.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    holdfast::function::run(holdfast::check::handle).await
}
