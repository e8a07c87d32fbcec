"""The addresses are ours, so that one driver asks both."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.home),
    path("posts/<str:slug>", views.detail),
    path("search", views.search),
    path("feed.xml", views.Latest()),
]
