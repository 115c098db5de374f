//! The Lambda function `create-images`.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    holdfast::function::run(holdfast::create::images).await
}
