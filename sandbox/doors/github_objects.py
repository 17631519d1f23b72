"""Engineering records as GitHub REST objects."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.engineering import ORGANIZATION, Commit, Engineering, Issue, Person, Pull, Repository, Review
from sandbox.timeline import iso

WEB = "https://github.com"
ORGANIZATION_ID = 31_898_100
Json = dict[str, Any]
#: The addresses of a repository: (key, what follows the repository's own address).
_REPOSITORY_URLS = (
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
)


def _node(kind: str, number: int) -> str:
    return base64.b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()


class GithubWriter:
    """Draws records; ``base_url`` is the API's own address, which GitHub repeats in every object."""

    def __init__(self, engineering: Engineering) -> None:
        self._engineering = engineering
        self.base_url = "https://api.github.com"

    def account(self, login: str, number: int, kind: str) -> Json:
        """The short form of a user or an organisation."""
        api = f"{self.base_url}/users/{login}"
        return {
            "login": login,
            "id": number,
            "node_id": _node(kind, number),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{WEB}/{login}",
            "followers_url": f"{api}/followers",
            "following_url": f"{api}/following{{/other_user}}",
            "gists_url": f"{api}/gists{{/gist_id}}",
            "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
            "subscriptions_url": f"{api}/subscriptions",
            "organizations_url": f"{api}/orgs",
            "repos_url": f"{api}/repos",
            "events_url": f"{api}/events{{/privacy}}",
            "received_events_url": f"{api}/received_events",
            "type": kind,
            "site_admin": False,
        }

    def user(self, person: Person) -> Json:
        return self.account(person.login, person.id, "User")

    def me(self, person: Person, start: int) -> Json:
        """The long form of the user whose token it is."""
        return self.user(person) | {
            "name": person.name,
            "company": "Tidewater",
            "blog": "",
            "location": None,
            "email": person.email,
            "hireable": None,
            "bio": None,
            "twitter_username": None,
            "public_repos": 2,
            "public_gists": 0,
            "followers": 12,
            "following": 8,
            "created_at": iso(start),
            "updated_at": iso(start),
            "private_gists": 0,
            "total_private_repos": 4,
            "owned_private_repos": 0,
            "disk_usage": 0,
            "collaborators": 0,
            "two_factor_authentication": True,
        }

    def organization(self, start: int) -> Json:
        api = f"{self.base_url}/orgs/{ORGANIZATION}"
        private = sum(repository.private for repository in self._engineering.repositories.values())
        return {
            "login": ORGANIZATION,
            "id": ORGANIZATION_ID,
            "node_id": _node("Organization", ORGANIZATION_ID),
            "url": api,
            "repos_url": f"{api}/repos",
            "events_url": f"{api}/events",
            "hooks_url": f"{api}/hooks",
            "issues_url": f"{api}/issues",
            "members_url": f"{api}/members{{/member}}",
            "public_members_url": f"{api}/public_members{{/member}}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{ORGANIZATION_ID}?v=4",
            "description": None,
            "is_verified": False,
            "has_organization_projects": True,
            "has_repository_projects": True,
            "public_repos": len(self._engineering.repositories) - private,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "html_url": f"{WEB}/{ORGANIZATION}",
            "created_at": iso(start),
            "updated_at": iso(start),
            "type": "Organization",
        }

    def repository(self, record: Repository) -> Json:
        """A repository as lists show it."""
        api, web = f"{self.base_url}/repos/{record.full_name}", f"{WEB}/{record.full_name}"
        still_open = sum(issue.state == "open" for issue in record.issues.values())
        return {
            "id": record.id,
            "node_id": _node("Repository", record.id),
            "name": record.name,
            "full_name": record.full_name,
            "private": record.private,
            "owner": self.account(ORGANIZATION, ORGANIZATION_ID, "Organization"),
            "html_url": web,
            "description": f"{record.name} of Tidewater",
            "fork": False,
            "url": api,
            **{key: api + rest for key, rest in _REPOSITORY_URLS},
            "created_at": iso(record.created_at),
            "updated_at": iso(record.updated_at),
            "pushed_at": iso(record.pushed_at),
            "git_url": f"git://github.com/{record.full_name}.git",
            "ssh_url": f"git@github.com:{record.full_name}.git",
            "clone_url": f"{web}.git",
            "svn_url": web,
            "homepage": None,
            "size": 100 * len(record.commits),
            "stargazers_count": 0,
            "watchers_count": 0,
            "language": record.language,
            "has_issues": True,
            "has_projects": True,
            "has_downloads": True,
            "has_wiki": False,
            "has_pages": False,
            "forks_count": 0,
            "mirror_url": None,
            "archived": record.archived,
            "disabled": False,
            "open_issues_count": still_open,
            "license": None,
            "allow_forking": True,
            "is_template": False,
            "topics": [],
            "visibility": "private" if record.private else "public",
            "forks": 0,
            "open_issues": still_open,
            "watchers": 0,
            "default_branch": "main",
            "permissions": {"admin": False, "maintain": False, "push": False, "triage": False, "pull": True},
        }

    def full_repository(self, record: Repository) -> Json:
        return self.repository(record) | {
            "organization": self.account(ORGANIZATION, ORGANIZATION_ID, "Organization"),
            "network_count": 0,
            "subscribers_count": 3,
            "temp_clone_token": None,
        }

    def pull(self, record: Pull) -> Json:
        """A pull request as lists show it."""
        repository = record.repository
        api, web = f"{self.base_url}/repos/{repository.full_name}", f"{WEB}/{repository.full_name}"
        here, issue = f"{api}/pulls/{record.number}", f"{api}/issues/{record.number}"
        owner = self.account(ORGANIZATION, ORGANIZATION_ID, "Organization")
        whole = self.repository(repository)
        head = record.commits[-1].sha
        links = {
            "self": here,
            "html": f"{web}/pull/{record.number}",
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{here}/comments",
            "review_comment": f"{api}/pulls/comments{{/number}}",
            "commits": f"{here}/commits",
            "statuses": f"{api}/statuses/{head}",
        }
        return {
            "url": here,
            "id": record.id,
            "node_id": _node("PullRequest", record.id),
            "html_url": links["html"],
            "diff_url": f"{links['html']}.diff",
            "patch_url": f"{links['html']}.patch",
            "issue_url": issue,
            "number": record.number,
            "state": record.state,
            "locked": False,
            "title": record.title,
            "user": self.user(record.author),
            "body": None,
            "created_at": iso(record.created_at),
            "updated_at": iso(record.updated_at),
            "closed_at": _iso(record.closed_at),
            "merged_at": _iso(record.merged_at),
            "merge_commit_sha": record.merge_commit_sha,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [self.user(person) for person in record.reviewers] if not record.reviews else [],
            "requested_teams": [],
            "labels": [],
            "milestone": None,
            "draft": record.draft,
            "commits_url": links["commits"],
            "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"],
            "comments_url": links["comments"],
            "statuses_url": links["statuses"],
            "head": {
                "label": f"{ORGANIZATION}:{record.branch}",
                "ref": record.branch,
                "sha": head,
                "user": owner,
                "repo": whole,
            },
            "base": {
                "label": f"{ORGANIZATION}:main",
                "ref": "main",
                "sha": record.base_sha,
                "user": owner,
                "repo": whole,
            },
            "_links": {key: {"href": value} for key, value in links.items()},
            "author_association": "MEMBER",
            "auto_merge": None,
            "active_lock_reason": None,
        }

    def full_pull(self, record: Pull) -> Json:
        changed = len(record.commits)
        return self.pull(record) | {
            "merged": record.merged_at is not None,
            "mergeable": True if record.state == "open" else None,
            "rebaseable": True if record.state == "open" else None,
            "mergeable_state": "clean" if record.state == "open" else "unknown",
            "merged_by": self.user(record.merged_by) if record.merged_by else None,
            "comments": record.issue.comments,
            "review_comments": sum(review.state != "APPROVED" for review in record.reviews),
            "maintainer_can_modify": False,
            "commits": changed,
            "additions": 31 * changed,
            "deletions": 12 * changed,
            "changed_files": 1 + changed,
        }

    def review(self, record: Review, pull: Pull) -> Json:
        web = f"{WEB}/{pull.repository.full_name}/pull/{pull.number}#pullrequestreview-{record.id}"
        api = f"{self.base_url}/repos/{pull.repository.full_name}/pulls/{pull.number}"
        return {
            "id": record.id,
            "node_id": _node("PullRequestReview", record.id),
            "user": self.user(record.author),
            "body": record.body,
            "state": record.state,
            "html_url": web,
            "pull_request_url": api,
            "author_association": "MEMBER",
            "_links": {"html": {"href": web}, "pull_request": {"href": api}},
            "submitted_at": iso(record.submitted_at),
            "commit_id": record.commit,
        }

    def commit(self, record: Commit, repository: Repository) -> Json:
        api, web = f"{self.base_url}/repos/{repository.full_name}", f"{WEB}/{repository.full_name}"
        return {
            "sha": record.sha,
            "node_id": _node("Commit", int(record.sha[:8], 16)),
            "commit": {
                "author": {
                    "name": record.author.name,
                    "email": record.author.email,
                    "date": iso(record.authored_at),
                },
                "committer": {
                    "name": record.author.name,
                    "email": record.author.email,
                    "date": iso(record.committed_at),
                },
                "message": record.message,
                "tree": {"sha": record.sha[::-1], "url": f"{api}/git/trees/{record.sha[::-1]}"},
                "url": f"{api}/git/commits/{record.sha}",
                "comment_count": 0,
                "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
            },
            "url": f"{api}/commits/{record.sha}",
            "html_url": f"{web}/commit/{record.sha}",
            "comments_url": f"{api}/commits/{record.sha}/comments",
            "author": self.user(record.author),
            "committer": self.user(record.author),
            "parents": [
                {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{web}/commit/{sha}"} for sha in record.parents
            ],
        }

    def issue(self, record: Issue, repository: Repository) -> Json:
        api, web = f"{self.base_url}/repos/{repository.full_name}", f"{WEB}/{repository.full_name}"
        here = f"{api}/issues/{record.number}"
        kind = "pull" if record.pull else "issues"
        body = {
            "url": here,
            "repository_url": api,
            "labels_url": f"{here}/labels{{/name}}",
            "comments_url": f"{here}/comments",
            "events_url": f"{here}/events",
            "html_url": f"{web}/{kind}/{record.number}",
            "id": record.id,
            "node_id": _node("Issue", record.id),
            "number": record.number,
            "title": record.title,
            "user": self.user(record.author),
            "labels": [],
            "state": record.state,
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": record.comments,
            "created_at": iso(record.created_at),
            "updated_at": iso(record.updated_at),
            "closed_at": _iso(record.closed_at),
            "author_association": "MEMBER",
            "active_lock_reason": None,
            "body": None,
            "timeline_url": f"{here}/timeline",
            "performed_via_github_app": None,
            "state_reason": None if record.state == "open" else "completed",
        }
        if record.pull is not None:
            address = f"{web}/pull/{record.number}"
            body["draft"] = record.pull.draft
            body["pull_request"] = {
                "url": f"{api}/pulls/{record.number}",
                "html_url": address,
                "diff_url": f"{address}.diff",
                "patch_url": f"{address}.patch",
                "merged_at": _iso(record.pull.merged_at),
            }
        return body


def _iso(moment: int | None) -> str | None:
    return iso(moment) if moment is not None else None
