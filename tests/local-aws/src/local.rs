//! Everything together: the simulated account behind its HTTP door, DynamoDB with the table, STS,
//! and the functions with their rules.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_sim::{Account, Settings, SharedAccount};
use jiff::Timestamp;
use serde_json::Value;

use crate::bus::{Bus, Target, World};
use crate::door::Door;
use crate::dynamodb::{DynamoDb, DynamoDbError, Front, Storage};
use crate::iam::{Gate, Place, Role, RoleError, access_key};
use crate::lambda::{self, Function, FunctionConfig, Functions, HostError, find_binary};
use crate::pace::{Pace, paced};
use crate::template::{FunctionDeclaration, Template, TemplateError};

/// Fills the account before its door opens.
pub type Seed = Box<dyn FnOnce(&mut Account) + Send>;

/// Ports on the loopback interface; 0 is any free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// EC2.
    pub ec2: u16,
    /// DynamoDB.
    pub dynamodb: u16,
    /// STS.
    pub sts: u16,
    /// Auto Scaling.
    pub auto_scaling: u16,
    /// Systems Manager.
    pub ssm: u16,
    /// KMS.
    pub kms: u16,
    /// Lambda.
    pub lambda: u16,
}

/// What a local AWS is made of.
pub struct Options {
    /// The simulated account: number, Region, start of its clock, and how it behaves.
    pub settings: Settings,
    /// Fills the account before its door opens.
    pub seed: Option<Seed>,
    /// Name of the table.
    pub table_name: String,
    /// Where the table is kept.
    pub storage: Storage,
    /// The template that declares table and rules.
    pub template: PathBuf,
    /// Parameters of the template that have another value than their default.
    pub parameters: Vec<(&'static str, String)>,
    /// `HOLDFAST_POLICIES` of the functions.
    pub policies: PathBuf,
    /// `HOLDFAST_MODE` of the functions.
    pub mode: String,
    /// Where the services listen.
    pub ports: Ports,
    /// How EC2 and Auto Scaling answer.
    pub pace: Pace,
    /// Repeat what the functions write on standard error.
    pub echo: bool,
}

impl Default for Options {
    /// An empty account with the default settings, the table in memory, the project's own template
    /// and policy file, mode `plan`, any free ports, answers
    /// without delay and a virtual clock.
    fn default() -> Self {
        let template = Template::default_path();
        Self {
            settings: Settings::default(),
            seed: None,
            table_name: "holdfast".to_owned(),
            storage: Storage::Memory,
            policies: template.with_file_name("layer/holdfast/policies.yaml"),
            template,
            parameters: Vec::new(),
            mode: "plan".to_owned(),
            ports: Ports::default(),
            pace: Pace::default(),
            echo: false,
        }
    }
}

/// The local AWS could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LocalAwsError {
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The table cannot be made.
    #[error("DynamoDB: {0}")]
    DynamoDb(#[from] DynamoDbError),
    /// A port cannot be opened.
    #[error("{service}: cannot listen on port {port}: {source}")]
    Listen {
        /// The service.
        service: &'static str,
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The template declares no function of this name.
    #[error("the template declares no function {0}")]
    NoSuchFunction(String),
    /// A function cannot be hosted.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A function's role cannot be read.
    #[error("template: {0}")]
    Role(#[from] RoleError),
}

/// A running local AWS; it stops when this value is dropped.
pub struct LocalAws {
    /// URL of EC2.
    pub ec2_endpoint: String,
    /// URL of DynamoDB.
    pub dynamodb_endpoint: String,
    /// URL of STS.
    pub sts_endpoint: String,
    /// URL of Auto Scaling.
    pub auto_scaling_endpoint: String,
    /// URL of Systems Manager.
    pub ssm_endpoint: String,
    /// URL of KMS.
    pub kms_endpoint: String,
    /// URL of Lambda.
    pub lambda_endpoint: String,
    /// The functions that can be invoked there.
    pub functions: Functions,
    /// The simulated account, for looking into it and changing it in process.
    pub account: SharedAccount,
    /// The table, for reading and changing it in process.
    pub dynamodb: DynamoDb,
    /// Name of the table.
    pub table_name: String,
    /// Region of the account.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
    /// Knows what each caller asked for, and enforces the functions' roles.
    pub gate: Gate,
    template: Template,
    policies: PathBuf,
    mode: String,
    echo: bool,
    _doors: [Door; 6],
}

impl LocalAws {
    /// Starts everything, the functions excepted: their processes start when they are invoked.
    ///
    /// # Errors
    ///
    /// The template cannot be used, the table not made, or a port not opened.
    pub async fn start(options: Options) -> Result<Self, LocalAwsError> {
        let mut template = Template::load(&options.template)?;
        for (name, value) in options.parameters {
            template.set_parameter(name, value)?;
        }
        let region = options.settings.region.clone();
        let account_id = options.settings.account_id.clone();
        let mut account = Account::new(options.settings);
        if let Some(seed) = options.seed {
            seed(&mut account);
        }
        let account: SharedAccount = Arc::new(Mutex::new(account));
        let gate = Gate::new(&account_id);
        let front = Front {
            gate: gate.clone(),
            region: region.clone(),
            account_id: account_id.clone(),
        };
        let dynamodb = DynamoDb::start_behind(
            front,
            &options.storage,
            options.ports.dynamodb,
            &template,
            &options.table_name,
        )
        .await?;
        let ec2 = open(
            "EC2",
            paced(
                crate::ec2::guarded(Arc::clone(&account), gate.clone()),
                &account,
                options.pace,
            ),
            options.ports.ec2,
        )
        .await?;
        let sts = open("STS", crate::sts::router(&account_id), options.ports.sts).await?;
        let auto_scaling = open(
            "Auto Scaling",
            paced(
                crate::auto_scaling::guarded(Arc::clone(&account), gate.clone()),
                &account,
                options.pace,
            ),
            options.ports.auto_scaling,
        )
        .await?;
        let ssm = open(
            "Systems Manager",
            paced(
                crate::ssm::guarded(Arc::clone(&account), gate.clone()),
                &account,
                options.pace,
            ),
            options.ports.ssm,
        )
        .await?;
        let kms = open(
            "KMS",
            crate::kms::guarded(Arc::clone(&account), gate.clone()),
            options.ports.kms,
        )
        .await?;
        let functions = Functions::default();
        let lambda = open(
            "Lambda",
            lambda::guarded(functions.clone(), gate.clone()),
            options.ports.lambda,
        )
        .await?;
        Ok(Self {
            ec2_endpoint: ec2.endpoint(),
            dynamodb_endpoint: dynamodb.endpoint(),
            sts_endpoint: sts.endpoint(),
            auto_scaling_endpoint: auto_scaling.endpoint(),
            ssm_endpoint: ssm.endpoint(),
            kms_endpoint: kms.endpoint(),
            lambda_endpoint: lambda.endpoint(),
            functions,
            account,
            dynamodb,
            table_name: options.table_name,
            region,
            account_id,
            gate,
            template,
            policies: options.policies,
            mode: options.mode,
            echo: options.echo,
            _doors: [ec2, sts, auto_scaling, ssm, kms, lambda],
        })
    }

    /// The environment under which any AWS SDK, the functions and the command line reach this
    /// local AWS and nothing else.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL_EC2", self.ec2_endpoint.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb_endpoint),
            ("AWS_ENDPOINT_URL_STS", &self.sts_endpoint),
            ("AWS_ENDPOINT_URL_AUTO_SCALING", &self.auto_scaling_endpoint),
            ("AWS_ENDPOINT_URL_SSM", &self.ssm_endpoint),
            ("AWS_ENDPOINT_URL_KMS", &self.kms_endpoint),
            ("AWS_ENDPOINT_URL_LAMBDA", &self.lambda_endpoint),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_REGION", &self.region),
            // Version 1 of the aws command line knows only this name.
            ("AWS_DEFAULT_REGION", &self.region),
            // Never ask the machine's own metadata service for anything.
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOLDFAST_TABLE", &self.table_name),
            ("HOLDFAST_POLICIES", &self.policies.to_string_lossy()),
            ("HOLDFAST_MODE", &self.mode),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// What the template lets one of its functions do.
    ///
    /// # Errors
    ///
    /// The template declares no such function, or its role cannot be read.
    pub fn role(&self, name: &str) -> Result<Role, LocalAwsError> {
        let place = Place {
            region: &self.region,
            account_id: &self.account_id,
            table_name: &self.table_name,
        };
        let declared = self.declaration(name)?;
        Ok(place.role(&self.template, name, &declared.logical_id)?)
    }

    /// The configuration of one of the template's functions, with the environment of this local
    /// AWS, an access key of its own and its role; to be changed at will before [`Function::start`].
    ///
    /// # Errors
    ///
    /// The template declares no such function, or its binary has not been built.
    pub fn function_config(&self, name: &str) -> Result<FunctionConfig, LocalAwsError> {
        let binary = find_binary(name).map_err(HostError::from)?;
        self.function_config_with(name, binary)
    }

    /// As [`Self::function_config`], with another executable in the function's place.
    ///
    /// # Errors
    ///
    /// The template declares no such function.
    pub fn function_config_with(
        &self,
        name: &str,
        binary: PathBuf,
    ) -> Result<FunctionConfig, LocalAwsError> {
        let declared = self.declaration(name)?;
        let key = access_key(name);
        self.gate.give_role(&key, self.role(name)?);
        let mut environment = declared.environment.clone();
        environment.extend(self.environment());
        for (variable, value) in &mut environment {
            if variable == "AWS_ACCESS_KEY_ID" {
                value.clone_from(&key);
            }
        }
        Ok(FunctionConfig {
            region: self.region.clone(),
            account_id: self.account_id.clone(),
            memory_mb: declared.memory_mb,
            environment,
            echo: self.echo,
            ..FunctionConfig::new(name, binary)
        })
    }

    /// One of the template's functions.
    ///
    /// # Errors
    ///
    /// The template declares no such function, or its binary has not been built.
    pub fn function(&self, name: &str) -> Result<Function, LocalAwsError> {
        Ok(Function::start(self.function_config(name)?)?)
    }

    /// A bus over the account's clock with these functions, by the template's rules. They can be
    /// invoked through Lambda's API, too.
    ///
    /// # Errors
    ///
    /// The template declares no function of a given one's name.
    pub fn bus(&self, functions: &[Function]) -> Result<Bus<SharedAccount>, LocalAwsError> {
        let targets = functions
            .iter()
            .map(|function| {
                self.functions.deploy(function.clone());
                Ok(Target {
                    rules: self.declaration(&function.config().name)?.rules,
                    function: function.clone(),
                })
            })
            .collect::<Result<_, LocalAwsError>>()?;
        let account = Arc::clone(&self.account);
        Ok(Bus::new(account, &self.account_id, &self.region, targets))
    }

    /// The template.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    fn declaration(&self, name: &str) -> Result<FunctionDeclaration, LocalAwsError> {
        let functions = self.template.functions()?;
        functions
            .into_iter()
            .find(|f| f.name == name)
            .ok_or_else(|| LocalAwsError::NoSuchFunction(name.to_owned()))
    }
}

async fn open(
    service: &'static str,
    router: axum::Router,
    port: u16,
) -> Result<Door, LocalAwsError> {
    let opened = Door::open(router, port).await;
    opened.map_err(|source| LocalAwsError::Listen {
        service,
        port,
        source,
    })
}

fn locked(account: &SharedAccount) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World for SharedAccount {
    fn now(&self) -> Timestamp {
        locked(self).now()
    }

    fn advance_to(&self, time: Timestamp) {
        locked(self).advance_to(time);
    }

    fn drain_events(&self) -> Vec<Value> {
        locked(self).drain_events()
    }

    fn next_change(&self) -> Option<Timestamp> {
        locked(self).next_change()
    }
}
