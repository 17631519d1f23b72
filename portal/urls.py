"""Every address of the portal."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import path

from portal.views import account, builds, dash, dashboards, datasets, incidents, mails, runs, sources, status

urlpatterns = [
    path("", status.page, name="status"),
    path("live/", status.live, name="status_live"),
    path("dashboards/", dashboards.index, name="dashboards"),
    path("dashboards/<slug:key>/", dashboards.page, name="dashboard"),
    path("dashboards/<slug:key>/<slug:section>.csv", dashboards.csv, name="dashboard_csv"),
    path("dashboards/<slug:key>/dash/", dash.root, name="dash"),
    path("dashboards/<slug:key>/dash/_dash-component-suites/<path:path>", dash.component, name="dash_component"),
    path(
        "dashboards/<slug:key>/dash/<int:publication>/_dash-component-suites/<path:path>",
        dash.component,
        name="dash_own_component",
    ),
    path("dashboards/<slug:key>/dash/<int:publication>/_dash-layout", dash.layout, name="dash_layout"),
    path(
        "dashboards/<slug:key>/dash/<int:publication>/_dash-dependencies", dash.dependencies, name="dash_dependencies"
    ),
    path("dashboards/<slug:key>/dash/<int:publication>/_dash-update-component", dash.update, name="dash_update"),
    path("datasets/", datasets.index, name="datasets"),
    path("datasets/<str:name>/", datasets.page, name="dataset"),
    path("datasets/shown/<str:name>/", datasets.shown, name="shown"),
    path("sources/<slug:slug>/", sources.page, name="source"),
    path("sources/<slug:slug>/live/", sources.live, name="source_live"),
    path("sources/<slug:slug>/streams/", sources.streams, name="source_streams"),
    path("sources/<slug:slug>/sync/", sources.sync, name="sync_now"),
    path("runs/<int:pk>/", runs.page, name="run"),
    path("runs/<int:pk>/retry/", runs.retry, name="retry_run"),
    path("runs/<int:pk>/live/", runs.live, name="run_live"),
    path("builds/<int:pk>/", builds.page, name="build"),
    path("builds/<int:pk>/live/", builds.live, name="build_live"),
    path("incidents/", incidents.index, name="incidents"),
    path("incidents/<int:pk>/", incidents.page, name="incident"),
    path("incidents/<int:pk>/acknowledge/", incidents.acknowledge, name="acknowledge"),
    path("mails/", mails.index, name="notifications"),
    path("mails/<int:pk>/", mails.page, name="notification"),
    path("account/login/", account.Login.as_view(), name="login"),
    path("account/logout/", LogoutView.as_view(), name="logout"),
    path("account/password/", account.Password.as_view(), name="password"),
    path("account/theme/", account.theme, name="theme"),
    path("admin/", admin.site.urls),
]
