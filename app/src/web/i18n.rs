//! The words of the pages, in Chinese and English. A missing translation does not compile.

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lang {
    /// 简体中文.
    Zh,
    /// English.
    En,
}

impl Lang {
    /// The `lang` attribute of a page.
    #[must_use]
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    /// Its short name in cookies and links.
    #[must_use]
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// Reads [`Lang::short`].
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Zh, Self::En].into_iter().find(|lang| lang.short() == text)
    }

    /// The better of both by an `Accept-Language` header (RFC 9110, section 12.5.4); English where neither is named.
    #[must_use]
    pub(crate) fn negotiate(header: &str) -> Self {
        let (mut zh, mut en) = (0.0_f32, 0.0_f32);
        for part in header.split(',').take(20) {
            let mut pieces = part.split(';');
            let tag = pieces.next().unwrap_or("").trim().to_ascii_lowercase();
            let quality = pieces
                .find_map(|piece| piece.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()))
                .unwrap_or(1.0);
            match tag.split('-').next().unwrap_or("") {
                "zh" => zh = zh.max(quality),
                "en" | "*" => en = en.max(quality),
                _ => {}
            }
        }
        if zh > en { Self::Zh } else { Self::En }
    }

    /// Its words.
    #[must_use]
    pub(crate) fn text(self) -> &'static Text {
        match self {
            Self::Zh => &ZH,
            Self::En => &EN,
        }
    }

    /// `3 comments`, `3 条评论`.
    #[must_use]
    pub(crate) fn comments(self, count: i64) -> String {
        self.count(count, ("comment", "comments"), "条评论")
    }

    /// `3 posts`, `3 篇文章`.
    #[must_use]
    pub(crate) fn posts(self, count: i64) -> String {
        self.count(count, ("post", "posts"), "篇文章")
    }

    /// `3 min read`, `阅读约 3 分钟`.
    #[must_use]
    pub(crate) fn minutes(self, count: usize) -> String {
        match self {
            Self::Zh => format!("阅读约 {count} 分钟"),
            Self::En => format!("{count} min read"),
        }
    }

    fn count(self, count: i64, (one, many): (&str, &str), zh: &str) -> String {
        match self {
            Self::Zh => format!("{count} {zh}"),
            Self::En if count == 1 => format!("1 {one}"),
            Self::En => format!("{count} {many}"),
        }
    }
}

/// Declares the struct and both languages in one table, so that a line holds a name and its two texts.
macro_rules! texts {
    ($($name:ident: $zh:literal, $en:literal;)*) => {
        /// The words of one language.
        #[derive(Debug)]
        pub(crate) struct Text {
            $(#[doc = $en] pub(crate) $name: &'static str,)*
        }
        static ZH: Text = Text { $($name: $zh,)* };
        static EN: Text = Text { $($name: $en,)* };
    };
}

texts! {
    skip: "跳到正文", "Skip to content";
    home: "首页", "Home";
    archive: "归档", "Archive";
    tags: "标签", "Tags";
    tag: "标签", "Tag";
    categories: "分类", "Categories";
    category: "分类", "Category";
    search: "搜索", "Search";
    search_hint: "搜索文章……", "Search posts…";
    search_empty: "没有找到相关文章。换个词试试？", "Nothing found. Try another word?";
    search_ask: "输入一个词，两个字也可以。", "Type a word; two characters are enough.";
    search_results: "搜索结果", "Search results";
    feed: "订阅", "Feed";
    sign_in: "登录", "Sign in";
    sign_out: "退出", "Sign out";
    desk: "写作台", "Desk";
    theme: "主题", "Theme";
    theme_auto: "跟随系统", "System";
    theme_light: "浅色", "Light";
    theme_dark: "深色", "Dark";
    language: "语言", "Language";
    menu: "菜单", "Menu";
    latest: "最新文章", "Latest posts";
    older: "更早的文章", "Older posts";
    newer: "更新的文章", "Newer posts";
    no_posts: "这里还没有文章。", "No posts here yet.";
    contents: "目录", "Contents";
    related: "相关文章", "Related posts";
    previous: "上一篇", "Previous";
    next: "下一篇", "Next";
    updated: "更新于", "Updated";
    comments: "评论", "Comments";
    no_comments: "还没有评论，来写第一条吧。", "No comments yet. Write the first one.";
    comments_closed: "评论已关闭。", "Comments are closed.";
    comment_leave: "写评论", "Leave a comment";
    comment_name: "昵称", "Name";
    comment_email: "邮箱（不会公开）", "Email (never shown)";
    comment_url: "网站（可选）", "Website (optional)";
    comment_body: "评论内容", "Comment";
    comment_help: "支持 Markdown 的强调、链接、列表、引用和代码。", "Markdown emphasis, links, lists, quotes and code work.";
    comment_send: "提交评论", "Send comment";
    comment_pending: "谢谢！评论通过审核后会显示。", "Thank you! Your comment appears after approval.";
    comment_posted: "评论已发布。", "Your comment is published.";
    reply: "回复", "Reply";
    reply_to: "回复", "Replying to";
    cancel: "取消", "Cancel";
    author_mark: "作者", "Author";
    username: "用户名", "Username";
    password: "密码", "Password";
    login_failed: "用户名或密码不对。", "Wrong username or password.";
    login_slow: "尝试次数太多，请过几分钟再试。", "Too many attempts. Try again in a few minutes.";
    new_post: "写新文章", "New post";
    edit: "编辑", "Edit";
    title: "标题", "Title";
    slug: "链接名", "Link name";
    slug_help: "留空则由标题生成；改名后旧链接会自动跳转。", "Empty: made from the title. Old links redirect after a rename.";
    summary: "摘要", "Summary";
    summary_help: "留空则取正文开头。", "Empty: the start of the text.";
    tags_help: "用逗号分隔。", "Separated by commas.";
    cover: "封面图片", "Cover picture";
    body: "正文（Markdown）", "Text (Markdown)";
    kind: "类型", "Kind";
    kind_post: "文章", "Post";
    kind_page: "页面", "Page";
    kind_help: "页面不进列表和订阅，链接在页脚。", "A page stands outside lists and feeds; the footer links to it.";
    comments_open: "允许评论", "Comments are open";
    publish_at: "发布时间", "Publish at";
    publish_at_help: "留空则立即发布；将来的时间表示定时发布。", "Empty: now. A time in the future schedules the post.";
    save_draft: "存为草稿", "Save draft";
    publish: "发布", "Publish";
    update: "更新", "Update";
    put_away: "下架", "Archive";
    status_draft: "草稿", "Draft";
    status_published: "已发布", "Published";
    status_scheduled: "定时", "Scheduled";
    status_archived: "已下架", "Archived";
    saved: "已保存。", "Saved.";
    view_post: "查看文章", "View post";
    queue: "评论审核", "Comment queue";
    queue_empty: "没有待处理的评论。", "Nothing waits here.";
    pending: "待审核", "Pending";
    approved: "已通过", "Approved";
    spam: "垃圾", "Spam";
    approve: "通过", "Approve";
    delete: "删除", "Delete";
    select: "选择", "Select";
    on_post: "文章：", "On";
    views: "阅读", "Views";
    status: "状态", "Status";
    author: "作者", "Author";
    all_posts: "全部文章", "All posts";
    conflict: "你编辑期间别人保存过这篇文章。下面是你的文字，没有丢失；请对照现在的版本再保存。", "Somebody saved this post while you were editing. Your text is below, nothing is lost; compare it with the current version and save again.";
    conflict_theirs: "现在的版本", "The current version";
    error_404: "找不到这个页面", "This page does not exist";
    error_404_help: "链接可能写错了，或文章已经改名、下架。可以搜索，或从首页看起。", "The link may be mistyped, or the post was renamed or taken away. Search for it or start at the home page.";
    error_403: "没有权限", "Not allowed";
    error_403_help: "你的账号不能做这件事。", "Your account may not do this.";
    error_csrf_help: "请求来自别的网站，所以没有执行。请回到本站的页面再试。", "The request came from another site, so nothing was done. Go back to this site's page and try again.";
    error_400: "请求有误", "This request does not work";
    error_413: "内容太长", "Too large";
    error_413_help: "提交的内容超过了上限。", "What was sent is larger than the limit.";
    error_429: "请求太频繁", "Too many requests";
    error_429_help: "请过几分钟再试。", "Please try again in a few minutes.";
    error_500: "出错了", "Something went wrong";
    error_500_help: "这是我们的问题，已经记录下来。请稍后再试。", "This is our fault and has been recorded. Please try again later.";
    error_503: "暂时无法访问", "Not available for a moment";
    error_503_help: "这个页面要用的数据库或图片库暂时连不上，恢复后会自动正常。", "The database or the store of pictures can't be reached now. The site recovers by itself.";
    back_home: "回到首页", "Back to the home page";
    kept_title: "你写的文字还在", "What you wrote is still here";
    kept_away: "数据库暂时连不上，所以还没有保存。文字都在下面，过一会儿再点一次就好。", "The database can't be reached now, so nothing is saved yet. Everything is below; press the button again in a moment.";
    kept_failed: "这里出了点问题，所以可能还没有保存。文字都在下面，过一会儿再点一次就好。", "Something went wrong here, so it may not be saved yet. Everything is below; press the button again in a moment.";
    kept_signed_out: "登录已过期，所以还没有保存。请在另一个标签页重新登录，然后回到这里再点一次。", "Your session has ended, so nothing is saved yet. Sign in again in another tab, then come back and press the button.";
    try_again: "再试一次", "Try again";
    account: "账号", "Account";
    profile: "资料", "Profile";
    display_name: "显示的名字", "Display name";
    bio: "一句话介绍", "Short bio";
    password_change: "修改密码", "Change the password";
    password_now: "现在的密码", "Current password";
    password_new: "新密码", "New password";
    password_help: "至少 10 个字符。其他设备会被退出。", "At least 10 characters. Other devices are signed out.";
    sessions: "登录的设备", "Sessions";
    device: "设备", "Device";
    address: "地址", "Address";
    last_seen: "最近使用", "Last seen";
    actions: "操作", "Actions";
    this_session: "本机", "This one";
    end_session: "退出", "End";
    end_others: "退出其他所有设备", "Sign out everywhere else";
    tokens: "程序令牌", "Tokens for programs";
    tokens_help: "程序用它以你的身份读写文章。", "With a token a program reads and writes posts as you.";
    token_name: "用途", "What it is for";
    token_new: "新建令牌", "New token";
    token_scope: "权限", "It may";
    token_write: "读写文章", "read and write posts";
    token_read: "只读文章", "read posts";
    token_once: "请现在记下令牌，它不会再显示：", "Copy the token now; it is not shown again:";
    revoke: "收回", "Revoke";
    users: "成员", "People";
    role: "角色", "Role";
    disabled: "已停用", "Disabled";
    invite: "邀请", "Invitations";
    invite_new: "生成邀请链接", "New invitation";
    invite_once: "把这个链接发给对方，七天内有效，只显示一次：", "Send this link to the person; it works for seven days and is shown once:";
    valid_until: "有效期至", "valid until";
    join: "加入", "Join";
    settings: "设置", "Settings";
    site_name: "博客名称", "Name of the blog";
    site_tagline: "副标题", "Tagline";
    time_zone: "时区", "Time zone";
    page_size: "每页文章数", "Posts per page";
    moderate: "评论先审核再显示", "Comments wait for approval";
    manage_terms: "分类和标签", "Categories and tags";
    manage_terms_help: "改成已有的名字，就会合并到一起。删除不会删除文章。", "Renaming to an existing name merges both. Deleting keeps the posts.";
    rename: "改名", "Rename";
    pictures: "图片", "Pictures";
    no_pictures: "还没有图片。", "No pictures yet.";
    older_pictures: "更早的图片", "Older pictures";
    picture_add: "上传图片", "Add pictures";
    picture_file: "文件", "Files";
    picture_help: "JPEG、PNG、WebP 或 GIF，每个最多 20 MiB。图片会重新编码，拍摄地点等附带信息会去掉。", "JPEG, PNG, WebP or GIF, at most 20 MiB each. They are encoded anew: where and with what they were taken is removed.";
    picture_send: "上传", "Upload";
    picture_added: "图片已保存。把下面的 Markdown 贴到正文里。", "The pictures are saved. Paste the Markdown below into a text.";
    picture_insert: "插入图片", "Insert pictures";
    picture_list: "图片库", "All pictures";
    picture_sending: "正在上传图片……", "Uploading…";
    cover_help: "图片库里的文件名。", "The name of a file from the pictures.";
    audit: "操作记录", "Audit log";
    date: "日期", "Date";
    subject: "对象", "Subject";
    history: "历史版本", "History";
    version: "版本", "Version";
    same_text: "正文和现在的版本一样。", "The text is the same as the current one.";
    changes_since: "之后的改动", "What changed since";
    restore: "恢复这个版本", "Restore this version";
    preview: "预览", "Preview";
    preview_note: "这是预览，还没有保存。", "This is a preview; nothing is saved.";
    autosaved: "上次有没保存的文字：", "Text that was not saved, from";
    resume: "继续写", "Continue writing";
    discard: "丢弃", "Discard";
    autosave_kept: "已自动暂存", "Kept for you";
    autosave_failed: "暂存失败，文字还在本页", "Could not be kept; the text is still on this page";
    fault_banner: "故障注入已打开：这个版本会故意出错。", "Fault injection is on: this version fails on purpose.";
    powered: "运行版本", "Running version";
}

#[cfg(test)]
mod tests {
    use super::Lang;

    #[test]
    fn the_reader_gets_the_language_that_the_browser_prefers() {
        assert_eq!(Lang::negotiate("zh-CN,zh;q=0.9,en;q=0.8"), Lang::Zh);
        assert_eq!(Lang::negotiate("en-US,en;q=0.9,zh;q=0.8"), Lang::En);
        assert_eq!(Lang::negotiate("fr, zh;q=0.5"), Lang::Zh);
        assert_eq!(Lang::negotiate("fr"), Lang::En);
        assert_eq!(Lang::negotiate(""), Lang::En);
        assert_eq!(Lang::negotiate("zh;q=NaN, en;q=0.1"), Lang::En);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(Lang::En.comments(1), "1 comment");
        assert_eq!(Lang::En.comments(0), "0 comments");
        assert_eq!(Lang::Zh.comments(2), "2 条评论");
    }
}
