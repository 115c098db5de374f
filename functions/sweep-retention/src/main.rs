//! The Lambda function `sweep-retention`.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    holdfast::function::run(holdfast::sweep::handle).await
}
