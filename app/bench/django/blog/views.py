"""The pages of the tutorial's blog: home, post, search and feed, with its sidebar.

Left out, in Django's favour: the tutorial writes the view count with every reading of a post.
"""

import time
from datetime import datetime, timezone

import markdown
from django.contrib.syndication.views import Feed
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.shortcuts import get_object_or_404, render
from django.utils.feedgenerator import Atom1Feed
from django.utils.text import slugify
from markdown.extensions.toc import TocExtension

from .models import Category, Post, Tag


def public():
    now = int(time.time())
    return Post.objects.filter(kind="post", status="published", published_at__lte=now)


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc)


def sidebar():
    is_public = Q(post__kind="post", post__status="published")
    months = public().extra(
        select={"month": "strftime('%%Y-%%m', published_at, 'unixepoch')"}
    ).values("month").annotate(count=Count("id")).order_by("-month")[:8]
    return {
        "categories": Category.objects.annotate(count=Count("post", filter=is_public)).order_by("-count")[:8],
        "tag_list": Tag.objects.annotate(count=Count("post", filter=is_public)).order_by("-count")[:18],
        "months": months,
    }


def dress(posts):
    posts = list(posts)
    for post in posts:
        post.at = moment(post.published_at)
        post.comments = post.comment_set.filter(status="approved").count()
    return posts


def cards():
    return public().select_related("author", "category").prefetch_related("tags")


def home(request):
    page = Paginator(cards(), 10).get_page(request.GET.get("page"))
    return render(request, "list.html", {"posts": dress(page), "page": page, **sidebar()})


def detail(request, slug):
    post = get_object_or_404(Post.objects.select_related("author", "category"), slug=slug)
    md = markdown.Markdown(
        extensions=["markdown.extensions.extra", "markdown.extensions.codehilite", TocExtension(slugify=slugify)]
    )
    post.html = md.convert(post.body)
    post.toc = md.toc
    post.at = moment(post.published_at)
    comments = list(post.comment_set.filter(status="approved").order_by("id"))
    for comment in comments:
        comment.html = markdown.markdown(comment.body)
        comment.at = moment(comment.created_at)
    tags = list(post.tags.all())
    older = public().filter(published_at__lt=post.published_at).first()
    newer = public().filter(published_at__gt=post.published_at).last()
    related = public().filter(tags__in=tags).exclude(pk=post.pk).distinct()[:4]
    context = {"post": post, "tags": tags, "comments": comments, "older": older, "newer": newer, "related": dress(related)}
    return render(request, "detail.html", context)


def search(request):
    query = request.GET.get("q", "")
    found = cards().filter(Q(title__icontains=query) | Q(body__icontains=query))
    page = Paginator(found, 10).get_page(request.GET.get("page"))
    return render(request, "list.html", {"posts": dress(page), "page": page, "query": query, **sidebar()})


class Latest(Feed):
    feed_type = Atom1Feed
    title = "Blog"
    link = "/"
    subtitle = "The newest posts"

    def items(self):
        return cards()[:20]

    def item_title(self, item):
        return item.title

    def item_description(self, item):
        return markdown.markdown(item.body, extensions=["markdown.extensions.extra", "markdown.extensions.codehilite"])

    def item_pubdate(self, item):
        return moment(item.published_at)

    def item_updateddate(self, item):
        return moment(item.updated_at)

    def item_author_name(self, item):
        return item.author.display_name

    def item_categories(self, item):
        return [tag.name for tag in item.tags.all()]
