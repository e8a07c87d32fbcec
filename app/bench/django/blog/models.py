"""The tables of our blog, read as they are, so that both programs answer from the same file."""

from django.db import models


class Author(models.Model):
    display_name = models.TextField()

    class Meta:
        managed = False
        db_table = "users"


class Category(models.Model):
    slug = models.TextField()
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "categories"


class Tag(models.Model):
    slug = models.TextField()
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "tags"


class Post(models.Model):
    kind = models.TextField()
    slug = models.TextField()
    title = models.TextField()
    summary = models.TextField()
    body = models.TextField()
    status = models.TextField()
    published_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    cover = models.TextField()
    author = models.ForeignKey(Author, models.DO_NOTHING)
    category = models.ForeignKey(Category, models.DO_NOTHING, null=True)
    tags = models.ManyToManyField(Tag, through="PostTag")

    class Meta:
        managed = False
        db_table = "posts"
        ordering = ["-published_at", "-id"]

    def get_absolute_url(self):
        return f"/posts/{self.slug}"


class PostTag(models.Model):
    post = models.ForeignKey(Post, models.DO_NOTHING, primary_key=True)
    tag = models.ForeignKey(Tag, models.DO_NOTHING)

    class Meta:
        managed = False
        db_table = "post_tags"


class Comment(models.Model):
    post = models.ForeignKey(Post, models.DO_NOTHING)
    author_name = models.TextField()
    body = models.TextField()
    status = models.TextField()
    created_at = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = "comments"
