//! Everybody who may come to the door, by what they show.

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::UserId;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::workspace::Role;

use super::app::{App, operator};

/// The password of everybody.
pub(crate) const PASSWORD: &str = "violet-ladder-93-quartz-tunnel";

/// Somebody with or without a credential. Unless said otherwise they belong to the workspace acme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// Shows nothing.
    Anonymous,
    Viewer,
    /// A member whose key it is not.
    Member,
    /// A member whose key it is.
    KeyOwner,
    Admin,
    /// An owner of another workspace.
    ForeignAdmin,
    InstanceAdmin,
    /// Was an admin and is a viewer now; the session is older than that.
    DemotedAdmin,
    /// Shows a cookie whose session was signed out.
    EndedSession,
    /// Shows a live key for services.
    DataKey,
    /// Shows a live key for web pages.
    PublishableKey,
    /// Shows a management key of an admin with every scope.
    ManagementKey,
    /// Shows a management key of an admin without the scopes for keys.
    NarrowManagementKey,
    /// Shows a management key of a plain member with every scope.
    MembersManagementKey,
    /// Shows a management key of another workspace with every scope.
    ForeignManagementKey,
    /// Shows a management key that was deactivated.
    StoppedManagementKey,
    /// Shows a management key that is past its end.
    ExpiredManagementKey,
}

impl Actor {
    /// Everybody.
    pub(crate) const ALL: [Self; 17] = [
        Self::Anonymous,
        Self::Viewer,
        Self::Member,
        Self::KeyOwner,
        Self::Admin,
        Self::ForeignAdmin,
        Self::InstanceAdmin,
        Self::DemotedAdmin,
        Self::EndedSession,
        Self::DataKey,
        Self::PublishableKey,
        Self::ManagementKey,
        Self::NarrowManagementKey,
        Self::MembersManagementKey,
        Self::ForeignManagementKey,
        Self::StoppedManagementKey,
        Self::ExpiredManagementKey,
    ];

    const fn username(self) -> &'static str {
        match self {
            Self::Anonymous | Self::EndedSession => "gone",
            Self::Viewer => "viewer",
            Self::Member | Self::MembersManagementKey => "member",
            Self::KeyOwner => "keyowner",
            Self::ForeignAdmin | Self::ForeignManagementKey => "foreign",
            Self::InstanceAdmin => "root",
            Self::DemotedAdmin => "demoted",
            _ => "admin",
        }
    }

    const fn role(self) -> Option<Role> {
        match self {
            Self::Viewer => Some(Role::Viewer),
            Self::ForeignAdmin | Self::ForeignManagementKey | Self::InstanceAdmin => None,
            Self::Member | Self::MembersManagementKey | Self::KeyOwner | Self::Anonymous | Self::EndedSession => Some(Role::Member),
            _ => Some(Role::Admin),
        }
    }

    /// The user behind the actor; made when first asked for.
    pub(crate) async fn user(self, app: &App) -> UserId {
        if let Ok(found) = app.engine.users.find_by_username(&operator(), self.username()).await {
            return found.id;
        }
        let user = app.user(self.username(), self == Self::InstanceAdmin).await;
        if let Some(role) = self.role() {
            app.member(&user, role).await;
        }
        user
    }

    /// What the actor shows; made when first asked for.
    pub(crate) async fn credential(self, app: &App) -> Credential {
        let mut made = app.credentials.lock().await;
        if let Some(credential) = made.get(&self) {
            return credential.clone();
        }
        let credential = self.make(app).await;
        made.insert(self, credential.clone());
        credential
    }

    async fn make(self, app: &App) -> Credential {
        if self == Self::Anonymous {
            return Credential::Nothing;
        }
        let user = self.user(app).await;
        let everything = ScopeCatalogue::default().full_access(KeyKind::Management).to_string();
        let everything: Vec<&str> = everything.split(' ').collect();
        let issued = match self {
            Self::DataKey => app.key(Self::Admin, KeyKind::Secret, &["project", "chat"]).await,
            Self::PublishableKey => app.key(Self::Admin, KeyKind::Publishable, &["inference"]).await,
            Self::NarrowManagementKey => app.key(Self::Admin, KeyKind::Management, &["project", "audit:read", "members:read"]).await,
            Self::ForeignManagementKey => app.foreign_key(KeyKind::Management, &everything).await,
            Self::ManagementKey | Self::StoppedManagementKey => app.key(Self::Admin, KeyKind::Management, &everything).await,
            Self::ExpiredManagementKey => app.expired_key(Self::Admin, &everything).await,
            Self::MembersManagementKey => app.key(Self::Member, KeyKind::Management, &everything).await,
            _ => {
                let token = app.sign_in(self.username()).await;
                if self == Self::DemotedAdmin {
                    app.member(&user, Role::Viewer).await;
                }
                if self == Self::EndedSession {
                    let session = app.engine.sessions.authenticate(&token, &operator().request).await.unwrap().unwrap();
                    app.engine.sessions.sign_out(&session).await.unwrap();
                }
                return Credential::Session(token);
            }
        };
        if self == Self::StoppedManagementKey {
            app.engine.keys.deactivate(&operator(), &app.acme, &issued.key.id, "").await.unwrap();
        }
        Credential::Bearer(issued.secret.expose().to_owned())
    }
}

/// What a request shows.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    Nothing,
    Session(String),
    Bearer(String),
}
