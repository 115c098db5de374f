//! The Lambda function `create-snapshots`.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    holdfast::function::run(holdfast::create::snapshots).await
}
