// files as a client sees it, against a real larderd: uploads, downloads, lists, metadata, limits,
// and what is left after broken requests, restarts and kills. Resumable ones: files_tus_test.cpp.
#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

// SHA-256 of "hello world".
constexpr const char* kHello = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
constexpr const char* kHelloDigest = "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";

std::string form_part(const std::string& name, const std::string& filename,
                      const std::string& bytes) {
    const std::string file = filename.empty() ? "" : fmt::format("; filename=\"{}\"", filename);
    return fmt::format("--XX\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n{}\r\n", name,
                       file, bytes);
}

constexpr const char* kForm = "Content-Type: multipart/form-data; boundary=XX\r\n";

class FilesTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(FilesTest);
    CPPUNIT_TEST(keeps_and_gives_back);
    CPPUNIT_TEST(takes_forms);
    CPPUNIT_TEST(forms_are_all_or_nothing);
    CPPUNIT_TEST(checks_digests);
    CPPUNIT_TEST(gives_ranges);
    CPPUNIT_TEST(obeys_conditions);
    CPPUNIT_TEST(counts_downloads);
    CPPUNIT_TEST(shows_inline_in_a_sandbox);
    CPPUNIT_TEST(lists_sorted_with_cursors);
    CPPUNIT_TEST(edits_metadata);
    CPPUNIT_TEST(deletes);
    CPPUNIT_TEST(names_are_safe);
    CPPUNIT_TEST(route_words_are_no_names);
    CPPUNIT_TEST(refuses_blocked_and_large);
    CPPUNIT_TEST(the_quota_holds_against_a_crowd);
    CPPUNIT_TEST(broken_uploads_leave_nothing);
    CPPUNIT_TEST(tells_types_by_content);
    CPPUNIT_TEST(files_expire);
    CPPUNIT_TEST(cleans_up_what_is_old);
    CPPUNIT_TEST(verification_finds_damage);
    CPPUNIT_TEST(a_start_finds_strays_and_keeps_them);
    CPPUNIT_TEST(a_start_clears_what_a_kill_left);
    CPPUNIT_TEST(survives_a_kill);
    CPPUNIT_TEST(takes_the_origins_files);
    CPPUNIT_TEST(tells_how_much_is_stored);
    CPPUNIT_TEST(large_files_pass_in_little_memory);
    CPPUNIT_TEST_SUITE_END();

    std::string put(const std::string& name, std::string_view bytes,
                    std::string_view headers = {}) const {
        const Answer answer = send("PUT", "/api/files/" + name, headers, bytes);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        CPPUNIT_ASSERT_EQUAL(answer.member("url"), answer.header("Location"));
        return answer.header("Location");
    }
    std::string refused(const Answer& answer) const {
        return fmt::format("{} {}", answer.status, answer.member("code"));
    }
    std::string number(const std::string& json, const std::string& name) const {
        const std::size_t at = json.find(fmt::format("\"{}\":", name));
        CPPUNIT_ASSERT_MESSAGE(json, at != std::string::npos);
        const std::size_t begin = at + name.size() + 3;
        return json.substr(begin, json.find_first_of(",}", begin) - begin);
    }
    std::string storage(const std::string& name) const {
        return number(send("GET", "/api/files/storage").body, name);
    }
    // The names in files/ that are no records.
    std::set<std::string> stored() const {
        std::set<std::string> names;
        for (const auto& entry : fs::directory_iterator(*folder_ / "files")) {
            const std::string name = entry.path().filename().string();
            if (name.starts_with("files_metadata.json")) continue;
            if (!name.starts_with('.')) names.insert(name);
            if (!name.starts_with('.') || name == ".tus") continue;
            for (const auto& inner : fs::directory_iterator(entry.path())) {
                names.insert(name + "/" + inner.path().filename().string());
            }
        }
        return names;
    }
    std::vector<std::string> listed(const std::string& query, const std::string& member) const {
        std::vector<std::string> found;
        const std::string body = send("GET", "/api/files?" + query).body;
        const std::string mark = fmt::format("\"{}\":\"", member);
        for (std::size_t at = body.find(mark); at != std::string::npos; at = body.find(mark, at)) {
            at += mark.size();
            found.push_back(body.substr(at, body.find('"', at) - at));
        }
        return found;
    }
    void restart_with(const std::string& name, const std::string& value) {
        environment_.emplace_back(name, value);
        restart();
    }

public:
    void keeps_and_gives_back() {
        const Answer put = send("PUT", "/api/files/hello.txt", {}, "hello world");
        CPPUNIT_ASSERT_EQUAL(201, put.status);
        CPPUNIT_ASSERT_EQUAL("hello.txt"s, put.member("original_name"));
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, put.member("hash"));
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, put.member("checksum"));
        CPPUNIT_ASSERT_EQUAL("text/plain"s, put.member("mime_type"));
        CPPUNIT_ASSERT_EQUAL("127.0.0.1"s, put.member("uploader_ip"));
        CPPUNIT_ASSERT_EQUAL("11"s, number(put.body, "size"));
        const std::string url = put.header("Location");
        CPPUNIT_ASSERT_EQUAL("/api/files/" + put.member("filename"), url);
        for (int i = 0; i < 2; ++i) {  // from the disk, and from the file that is open
            const Answer got = send("GET", url);
            CPPUNIT_ASSERT_EQUAL(200, got.status);
            CPPUNIT_ASSERT_EQUAL("hello world"s, got.body);
            CPPUNIT_ASSERT_EQUAL(fmt::format("\"{}\"", kHello), got.header("ETag"));
            CPPUNIT_ASSERT_EQUAL(kHelloDigest + ""s, got.header("Repr-Digest"));
            CPPUNIT_ASSERT_EQUAL("bytes"s, got.header("Accept-Ranges"));
            CPPUNIT_ASSERT_EQUAL("attachment; filename=\"hello.txt\""s,
                                 got.header("Content-Disposition"));
            CPPUNIT_ASSERT_EQUAL("text/plain"s, got.header("Content-Type"));
            CPPUNIT_ASSERT(!got.header("Last-Modified").empty());
        }
        const Answer head = send("HEAD", url);
        CPPUNIT_ASSERT_EQUAL(200, head.status);
        CPPUNIT_ASSERT_EQUAL("11"s, head.header("Content-Length"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", this->put("empty", "")).status);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/nobody.txt"));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/nobody/metadata"));
        restart();
        CPPUNIT_ASSERT_EQUAL("hello world"s, send("GET", url).body);
        // Two of a name get two names.
        CPPUNIT_ASSERT(this->put("hello.txt", "1") != this->put("hello.txt", "2"));
    }

    void takes_forms() {
        const Answer one = send(
            "POST", "/api/files/upload", kForm,
            form_part("note", "", "x") + form_part("file", "a.txt", "hello world") + "--XX--\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(one.body, 201, one.status);
        CPPUNIT_ASSERT_EQUAL(kHello + ""s, one.member("hash"));
        CPPUNIT_ASSERT_EQUAL(one.member("url"), one.header("Location"));
        const Answer two =
            send("POST", "/api/files/upload", kForm,
                 form_part("file", "a.txt", "1") + form_part("file", "b.txt", "22") + "--XX--");
        CPPUNIT_ASSERT_EQUAL(201, two.status);
        CPPUNIT_ASSERT_MESSAGE(two.body,
                               two.body.starts_with(R"({"files":[{"original_name":"a.txt")"));
        CPPUNIT_ASSERT_EQUAL("3"s, storage("file_count"));
        const auto form = [&](const std::string& headers, const std::string& body) {
            return refused(send("POST", "/api/files/upload", headers, body));
        };
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("note", "", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("file", "", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, form_part("other", "a", "x") + "--XX--"));
        CPPUNIT_ASSERT_EQUAL("400 no-file"s, form(kForm, "--XX--\r\n"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s, form(kForm, "hello"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s, form(kForm, form_part("file", "a", "x")));
        CPPUNIT_ASSERT_EQUAL("400 invalid-multipart"s,
                             form("Content-Type: multipart/form-data\r\n", "x"));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s,
                             form("Content-Type: text/plain\r\n", "hello"));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s, form("", "hello"));
        // Nothing was chosen in the form's field: the other one counts.
        const Answer chosen = send(
            "POST", "/api/files/upload", kForm,
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n" +
                form_part("file", "c.txt", "x") + "--XX--");
        CPPUNIT_ASSERT_EQUAL("c.txt"s, chosen.member("original_name"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, stored().size());
    }

    void forms_are_all_or_nothing() {
        const auto before = stored();
        for (const std::string& second :
             {form_part("file", "b.exe", "2"), "--XX\r\nX: y\r\n\r\n"s, ""s}) {
            const Answer answer =
                send("POST", "/api/files/upload", kForm, form_part("file", "a.txt", "1") + second);
            CPPUNIT_ASSERT(answer.status == 400 || answer.status == 415);
            CPPUNIT_ASSERT(stored() == before);
        }
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
    }

    void checks_digests() {
        put("a.txt", "hello world", fmt::format("Content-Digest: {}\r\n", kHelloDigest));
        put("a.txt", "hello world",
            fmt::format("Repr-Digest: md5=:x:, {}\r\nContent-Digest: sha-512=:AAAA:\r\n",
                        kHelloDigest));
        const auto with = [&](const std::string& digest) {
            return outcome("PUT", "/api/files/b.txt", digest + "\r\n", "hello worlD");
        };
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Content-Digest: "s + kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Repr-Digest: "s + kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, with("Content-Digest: sha-256=:AAAA:"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stored().size());
        // As a trailer, of a body whose length nobody told.
        RawClient client(daemon_->port());
        client.send(
            fmt::format("PUT /api/files/c.txt HTTP/1.1\r\nHost: localhost\r\n"
                        "Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n\r\n"
                        "b\r\nhello worlD\r\n0\r\nContent-Digest: {}\r\n\r\n",
                        kHelloDigest));
        CPPUNIT_ASSERT_EQUAL("400 digest-mismatch"s, refused(client.read_answer()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, stored().size());
    }

    void gives_ranges() {
        std::string bytes;
        for (int i = 0; i < 30000; ++i) bytes += fmt::format("{:05} ", i);
        const std::string url = put("numbers.txt", bytes);
        const auto get = [&](const std::string& range, const std::string& more = {}) {
            return send("GET", url, fmt::format("Range: {}\r\n{}", range, more));
        };
        const Answer one = get("bytes=6-10");
        CPPUNIT_ASSERT_EQUAL(206, one.status);
        CPPUNIT_ASSERT_EQUAL("00001"s, one.body);
        CPPUNIT_ASSERT_EQUAL("bytes 6-10/180000"s, one.header("Content-Range"));
        CPPUNIT_ASSERT_EQUAL(bytes.substr(100000), get("bytes=100000-").body);
        CPPUNIT_ASSERT_EQUAL("29999 "s, get("bytes=-6").body);
        const Answer many = get("bytes=0-4,60000-119999,-1");
        CPPUNIT_ASSERT_EQUAL(206, many.status);
        CPPUNIT_ASSERT(many.header("Content-Type").starts_with("multipart/byteranges; boundary="));
        const std::string boundary = many.header("Content-Type").substr(31);
        CPPUNIT_ASSERT_EQUAL(
            fmt::format(
                "--{0}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/180000\r\n\r\n"
                "00000\r\n--{0}\r\nContent-Type: text/plain\r\n"
                "Content-Range: bytes 60000-119999/180000\r\n\r\n{1}\r\n--{0}\r\n"
                "Content-Type: text/plain\r\nContent-Range: bytes 179999-179999/180000\r\n"
                "\r\n \r\n--{0}--\r\n",
                boundary, bytes.substr(60000, 60000)),
            many.body);
        const Answer none = get("bytes=180000-");
        CPPUNIT_ASSERT_EQUAL("416 range-not-satisfiable"s, refused(none));
        CPPUNIT_ASSERT_EQUAL("bytes */180000"s, none.header("Content-Range"));
        CPPUNIT_ASSERT_EQUAL(200, get("bytes=5-4").status);
        CPPUNIT_ASSERT_EQUAL(200, get("lines=1-2").status);
        const Answer whole = send("GET", url);
        const auto if_range = [&](const std::string& value) {
            return get("bytes=0-0", fmt::format("If-Range: {}\r\n", value)).status;
        };
        CPPUNIT_ASSERT_EQUAL(206, if_range(whole.header("ETag")));
        CPPUNIT_ASSERT_EQUAL(206, if_range(whole.header("Last-Modified")));
        CPPUNIT_ASSERT_EQUAL(200, if_range("\"other\""));
        CPPUNIT_ASSERT_EQUAL(200, if_range("W/" + whole.header("ETag")));
        CPPUNIT_ASSERT_EQUAL(200, if_range("Sun, 06 Nov 1994 08:49:37 GMT"));
        CPPUNIT_ASSERT_EQUAL(200, send("HEAD", url, "Range: bytes=0-0\r\n").status);
    }

    void obeys_conditions() {
        const std::string url = put("a.txt", "hello world");
        const Answer whole = send("GET", url);
        const std::string etag = whole.header("ETag"), modified = whole.header("Last-Modified");
        const auto get = [&](const std::string& header) {
            return send("GET", url, header + "\r\n").status;
        };
        CPPUNIT_ASSERT_EQUAL(304, get("If-None-Match: " + etag));
        CPPUNIT_ASSERT_EQUAL(304, get("If-None-Match: \"x\", W/" + etag + "\r\nRange: bytes=0-1"));
        CPPUNIT_ASSERT_EQUAL(200, get("If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified));
        CPPUNIT_ASSERT_EQUAL(304, get("If-Modified-Since: " + modified));
        CPPUNIT_ASSERT_EQUAL(200, get("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"));
        CPPUNIT_ASSERT_EQUAL(412, get("If-Match: \"x\""));
        CPPUNIT_ASSERT_EQUAL(200, get("If-Match: " + etag));
        CPPUNIT_ASSERT_EQUAL(412, get("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"));
        const Answer cached = send("GET", url, "If-None-Match: " + etag + "\r\n");
        CPPUNIT_ASSERT_EQUAL(etag, cached.header("ETag"));
        CPPUNIT_ASSERT_EQUAL("412 precondition-failed"s,
                             outcome("DELETE", url, "If-Match: \"x\"\r\n"));
        CPPUNIT_ASSERT_EQUAL("412 precondition-failed"s,
                             outcome("DELETE", url, "If-None-Match: *\r\n"));
        CPPUNIT_ASSERT_EQUAL("400 condition-not-supported"s,
                             outcome("PUT", "/api/files/b.txt", "If-None-Match: *\r\n", "x"));
        CPPUNIT_ASSERT_EQUAL(
            "400 condition-not-supported"s,
            outcome("PATCH", url + "/metadata",
                    "If-Match: *\r\nContent-Type: application/merge-patch+json\r\n", "{}"));
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", url, "If-Match: " + etag + "\r\n"));
    }

    void counts_downloads() {
        const std::string url = put("a.txt", "hello world");
        const auto count = [&] {
            return number(send("GET", url + "/metadata").body, "download_count");
        };
        send("HEAD", url);
        send("GET", url, "If-None-Match: *\r\n");
        send("GET", url, "Range: bytes=1-\r\n");
        send("GET", url, "Range: bytes=50-\r\n");
        CPPUNIT_ASSERT_EQUAL("0"s, count());
        send("GET", url);
        send("GET", url, "Range: bytes=0-3\r\n");
        send("GET", url + "?inline=true");
        CPPUNIT_ASSERT_EQUAL("3"s, count());
        const std::string other = put("b.txt", "x");
        CPPUNIT_ASSERT(listed("sort=downloads&order=desc", "url") ==
                       (std::vector<std::string>{url, other}));
        for (int i = 0; i < 5; ++i) send("GET", other);
        CPPUNIT_ASSERT(listed("sort=downloads&order=desc", "url") ==
                       (std::vector<std::string>{other, url}));
        restart();
        CPPUNIT_ASSERT_EQUAL("3"s, count());
        CPPUNIT_ASSERT(listed("sort=downloads", "url") == (std::vector<std::string>{url, other}));
    }

    void shows_inline_in_a_sandbox() {
        const std::string url = put("a%20b%C3%A9.txt", "<script>") + "?inline=true";
        const Answer got = send("GET", url);
        CPPUNIT_ASSERT_EQUAL("inline; filename=\"a b_.txt\"; filename*=UTF-8''a%20b%C3%A9.txt"s,
                             got.header("Content-Disposition"));
        CPPUNIT_ASSERT_EQUAL("nosniff"s, got.header("X-Content-Type-Options"));
        CPPUNIT_ASSERT(got.header("Content-Security-Policy").find("sandbox") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL("400 invalid-parameter"s, outcome("GET", url + "x"));
    }

    void lists_sorted_with_cursors() {
        for (const char* name : {"b2", "a1", "b1", "c", "a2", "b3"}) {
            put(name + ".txt"s, std::string(std::size_t(name[0] - 'a') * 10 + name[1] % 8U, 'x'));
        }
        put("picture", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s);
        const auto names = [&](const std::string& query) {
            std::string text;
            for (const std::string& name : listed(query, "original_name")) {
                text += name.substr(0, name.find('.')) + " ";
            }
            return text;
        };
        CPPUNIT_ASSERT_EQUAL("a1 a2 b1 b2 b3 c picture "s, names(""));
        CPPUNIT_ASSERT_EQUAL("picture c b3 b2 b1 a2 a1 "s, names("sort=name&order=desc"));
        CPPUNIT_ASSERT_EQUAL("a1 a2 b1 b2 b3 picture c "s, names("sort=size"));
        CPPUNIT_ASSERT_EQUAL("b2 a1 b1 c a2 b3 picture "s, names("sort=uploaded_at"));
        CPPUNIT_ASSERT_EQUAL("b1 b2 b3 "s, names("prefix=b"));
        CPPUNIT_ASSERT_EQUAL("b3 b2 b1 "s, names("prefix=b&order=desc"));
        CPPUNIT_ASSERT_EQUAL("b3 b1 b2 "s, names("prefix=b&sort=uploaded_at&order=desc"));
        CPPUNIT_ASSERT_EQUAL("picture "s, names("mime=image/"));
        CPPUNIT_ASSERT_EQUAL(""s, names("prefix=zz"));
        for (const std::string& query : {"sort=name"s, "sort=size&order=desc"s, "sort=uploaded_at"s,
                                         "sort=downloads&order=desc"s, "prefix=b"s,
                                         "prefix=b&order=desc"s, "mime=text/&sort=size"s}) {
            const std::string all = names(query);
            for (int limit = 1; limit < 4; ++limit) {
                std::string paged, cursor;
                do {
                    const std::string page = fmt::format("{}&limit={}{}", query, limit, cursor);
                    paged += names(page);
                    const std::string body = send("GET", "/api/files?" + page).body;
                    const std::string next = body.substr(body.rfind("\"next\":") + 7);
                    cursor =
                        next == "null}" ? "" : "&cursor=" + next.substr(1, next.find('"', 1) - 1);
                } while (!cursor.empty());
                CPPUNIT_ASSERT_EQUAL(all, paged);
            }
        }
        for (const char* bad : {"sort=color", "order=up", "limit=0", "limit=1001", "what=1"}) {
            CPPUNIT_ASSERT_EQUAL("400 invalid-parameter"s, outcome("GET", "/api/files?"s + bad));
        }
        CPPUNIT_ASSERT_EQUAL("400 invalid-cursor"s, outcome("GET", "/api/files?cursor=x"));
    }

    void edits_metadata() {
        const std::string url = put("a.txt", "hello world");
        const auto patch = [&](const std::string& body) {
            return send("PATCH", url + "/metadata",
                        "Content-Type: application/merge-patch+json\r\n", body);
        };
        const Answer edited =
            patch(R"({"original_name":"../b.md","mime_type":"text/markdown","tags":["x","y"],)"
                  R"("expires_at":"2999-01-01T00:00:00+01:00"})");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(edited.body, 200, edited.status);
        CPPUNIT_ASSERT_EQUAL("b.md"s, edited.member("original_name"));
        CPPUNIT_ASSERT_EQUAL("2998-12-31T23:00:00.000Z"s, edited.member("expires_at"));
        CPPUNIT_ASSERT(edited.body.find(R"("tags":["x","y"])") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(edited.body, send("GET", url + "/metadata").body);
        const Answer got = send("GET", url);
        CPPUNIT_ASSERT_EQUAL("text/markdown"s, got.header("Content-Type"));
        CPPUNIT_ASSERT_EQUAL("attachment; filename=\"b.md\""s, got.header("Content-Disposition"));
        patch(R"({"tags":{"k":"v","l":"w"}})");
        CPPUNIT_ASSERT(patch(R"({"tags":{"k":null},"expires_at":null})")
                           .body.find(R"("expires_at":null,"tags":{"l":"w"})") !=
                       std::string::npos);
        restart();
        CPPUNIT_ASSERT(send("GET", url + "/metadata").body.find(R"("tags":{"l":"w"})") !=
                       std::string::npos);
        for (const auto& [body, code, pointer] :
             {std::tuple{R"({"size":1})", "422 invalid-field", "/size"},
              std::tuple{R"({"original_name":""})", "422 invalid-field", "/original_name"},
              std::tuple{R"({"original_name":null})", "422 invalid-field", "/original_name"},
              std::tuple{R"({"original_name":"a.exe"})", "415 blocked-extension", ""},
              std::tuple{R"({"mime_type":"text"})", "422 invalid-field", "/mime_type"},
              std::tuple{R"({"tags":"x"})", "422 invalid-field", "/tags"},
              std::tuple{R"({"tags":[1]})", "422 invalid-field", "/tags"},
              std::tuple{R"({"expires_at":"soon"})", "422 invalid-field", "/expires_at"},
              std::tuple{R"([])", "422 invalid-field", ""},
              std::tuple{R"({"tags":)", "400 invalid-json", ""}}) {
            const Answer answer = patch(body);
            CPPUNIT_ASSERT_EQUAL(code + ""s, refused(answer));
            CPPUNIT_ASSERT_EQUAL(pointer + ""s, answer.member("pointer"));
        }
        CPPUNIT_ASSERT_EQUAL(
            "415 unsupported-media-type"s,
            outcome("PATCH", url + "/metadata", "Content-Type: text/plain\r\n", "{}"));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s,
                             outcome("PATCH", "/api/files/x/metadata", {}, "{}"));
    }

    void deletes() {
        const std::string url = put("a.txt", "hello world");
        send("GET", url);  // it is open now
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("DELETE", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url));
        CPPUNIT_ASSERT(stored().empty());
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("file_count"));
    }

    void names_are_safe() {
        const auto named = [&](const std::string& target) {
            return send("PUT", "/api/files/" + target, {}, "x").member("original_name");
        };
        CPPUNIT_ASSERT_EQUAL("x"s, named("..%2f..%2fx"));
        CPPUNIT_ASSERT_EQUAL("x"s, named("..%5C..%5Cx"));
        CPPUNIT_ASSERT_EQUAL("file"s, named("%2e%2e"));
        CPPUNIT_ASSERT_EQUAL("htaccess"s, named(".htaccess"));
        CPPUNIT_ASSERT_EQUAL("_CON"s, named("CON"));
        CPPUNIT_ASSERT_EQUAL("ab"s, named("a%0D%0Ab"));
        CPPUNIT_ASSERT_EQUAL("a__b"s, named("a%C0%AFb"));
        CPPUNIT_ASSERT_EQUAL("gpj"s, named("%E2%80%AEgpj"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{255}, named(std::string(300, 'a')).size());
        CPPUNIT_ASSERT_EQUAL("400 bad-request"s, outcome("PUT", "/api/files/a%00b", {}, "x"));
        for (const std::string& url : listed("limit=1000", "url")) {
            CPPUNIT_ASSERT_EQUAL("x"s, send("GET", url).body);
        }
        for (const std::string& name : stored()) {
            CPPUNIT_ASSERT_MESSAGE(name,
                                   name.size() <= 255 && name.find("_1") != std::string::npos);
        }
        // What lies beside the files cannot be had as one.
        for (const char* name : {"files_metadata.json", "files_metadata.json.journal", ".staging",
                                 "..", "%2e%2e%2fstorage.json", ".tus%2Fuploads.json"}) {
            CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", "/api/files/"s + name));
            CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("DELETE", "/api/files/"s + name));
        }
    }

    void route_words_are_no_names() {
        for (const char* word : {"upload", "storage", "verify", "tus"}) {
            CPPUNIT_ASSERT_EQUAL("405 method-not-allowed"s,
                                 outcome("PUT", "/api/files/"s + word, {}, "x"));
        }
        CPPUNIT_ASSERT(stored().empty());
    }

    void refuses_blocked_and_large() {
        environment_.emplace_back("LARDER_FILES_MAX_FILE_SIZE", "1KiB");
        restart_with("LARDER_FILES_QUOTA", "4000");
        for (const char* name : {"a.exe", "A.EXE", "a.tar.Sh", "x.exe.", "y.jar%20", "z.b%61t"}) {
            const std::string taken = outcome("PUT", "/api/files/"s + name, {}, "x");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(name, "415 blocked-extension"s, taken);
        }
        CPPUNIT_ASSERT_EQUAL("415 blocked-extension"s,
                             refused(send("POST", "/api/files/upload", kForm,
                                          form_part("file", "a.ps1", "x") + "--XX--")));
        put("ok.exe.txt", "x");
        const std::string large(1025, 'x');
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s, outcome("PUT", "/api/files/a", {}, large));
        CPPUNIT_ASSERT_EQUAL("415 blocked-extension"s,
                             outcome("PUT", "/api/files/a.exe", {}, large));
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s,
                             refused(send("POST", "/api/files/upload", kForm,
                                          form_part("file", "a", large) + "--XX--")));
        for (int i = 0; i < 3; ++i) put("a", std::string(1000, 'x'));
        const Answer full = send("PUT", "/api/files/a", {}, std::string(1000, 'x'));
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s, refused(full));
        CPPUNIT_ASSERT_EQUAL("999"s, number(full.body, "available"));
        // A length that nobody told is found out on the way.
        RawClient client(daemon_->port());
        client.send(
            "PUT /api/files/b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "\r\n3e8\r\n" +
            std::string(1000, 'x') + "\r\n0\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s, refused(client.read_answer()));
        // A form that fits to the byte, and one that does not.
        CPPUNIT_ASSERT_EQUAL(507, send("POST", "/api/files/upload", kForm,
                                       form_part("file", "a", std::string(1000, 'x')) + "--XX--")
                                      .status);
        CPPUNIT_ASSERT_EQUAL(201, send("POST", "/api/files/upload", kForm,
                                       form_part("file", "a", std::string(500, 'x')) +
                                           form_part("file", "a", std::string(499, 'x')) + "--XX--")
                                      .status);
        CPPUNIT_ASSERT_EQUAL("4000"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("available_bytes"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", listed("", "url").front()).status);
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", listed("", "url").front()));
        CPPUNIT_ASSERT_EQUAL(std::size_t{5}, stored().size());
    }

    void the_quota_holds_against_a_crowd() {
        restart_with("LARDER_FILES_QUOTA", "1000000");
        std::atomic<int> taken{0}, refused{0};
        std::vector<std::thread> crowd;
        for (int i = 0; i < 32; ++i) {
            crowd.emplace_back([&, i] {
                const std::string bytes(100000, 'x');
                const Answer answer = i % 2 == 0
                                          ? send("PUT", "/api/files/a.txt", {}, bytes)
                                          : send("POST", "/api/files/upload", kForm,
                                                 form_part("file", "a.txt", bytes) + "--XX--");
                (answer.status == 201 ? taken : refused)++;
                if (answer.status != 201 && answer.status != 507) taken = 1000;
            });
        }
        for (std::thread& one : crowd) one.join();
        // As many as fit, but for forms, whose delimiters count while they come.
        CPPUNIT_ASSERT(taken >= 9 && taken <= 10 && taken + refused == 32);
        CPPUNIT_ASSERT_EQUAL(fmt::format("{}", taken * 100000), storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(taken), stored().size());
        restart();
        CPPUNIT_ASSERT_EQUAL(fmt::format("{}", taken * 100000), storage("used_bytes"));
    }

    void broken_uploads_leave_nothing() {
        const std::string body =
            form_part("file", "a.txt", std::string(100000, 'x')) + "--XX--\r\n";
        const std::string post = fmt::format(
            "POST /api/files/upload HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}",
            kForm, body.size(), body);
        const std::string put =
            "PUT /api/files/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" +
            std::string(100000, 'x');
        for (const std::string& whole : {post, put}) {
            const std::size_t head = whole.find("\r\n\r\n") + 4;
            for (const std::size_t sent :
                 {head, head + 1, head + 70, head + 50000, whole.size() - 1}) {
                for (int way = 0; way < 3; ++way) {
                    RawClient client(daemon_->port());
                    client.send(std::string_view(whole).substr(0, sent));
                    if (way == 1) client.half_close();
                    if (way == 2) client.reset();
                    if (way == 1) client.read_to_end();
                }
            }
        }
        CPPUNIT_ASSERT(eventually([&] {
            return stored().empty() && storage("reserved_bytes") == "0" &&
                   storage("used_bytes") == "0";
        }));
        // More than the length says is the next request, and no part of the file.
        RawClient client(daemon_->port());
        client.send(
            "PUT /api/files/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
            "helloGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CPPUNIT_ASSERT_EQUAL("5"s, number(client.read_answer().body, "size"));
        CPPUNIT_ASSERT_EQUAL(200, client.read_answer().status);
    }

    void tells_types_by_content() {
        const auto type = [&](const std::string& name, const std::string& bytes) {
            return send("PUT", "/api/files/" + name, "Content-Type: application/x-made-up\r\n",
                        bytes)
                .member("mime_type");
        };
        CPPUNIT_ASSERT_EQUAL("image/png"s, type("a.txt", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1"s));
        CPPUNIT_ASSERT_EQUAL("application/pdf"s, type("a.bin", "%PDF-1.4\n%abc\n"));
        CPPUNIT_ASSERT_EQUAL("application/json"s, type("a", R"({"a": [1, 2, 3]})"));
        CPPUNIT_ASSERT_EQUAL("application/octet-stream"s, type("empty.png", ""));
        CPPUNIT_ASSERT_EQUAL("application/x-made-up"s,
                             send("GET", listed("prefix=empty", "url").front() + "/metadata")
                                 .member("sent_mime_type"));
    }

    void files_expire() {
        const std::string url = put("a.txt", "hello world");
        send("GET", url);
        CPPUNIT_ASSERT_EQUAL(
            200, send("PATCH", url + "/metadata", {}, R"({"expires_at":"2001-01-01T00:00:00Z"})")
                     .status);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url + "/metadata"));
        CPPUNIT_ASSERT(listed("", "url").empty());
        CPPUNIT_ASSERT_EQUAL(202, send("POST", "/api/scheduler/jobs/files.expire/run").status);
        CPPUNIT_ASSERT(eventually([&] { return stored().empty(); }));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        restart_with("LARDER_FILES_RETENTION", "1s");
        const std::string kept = put("b.txt", "x");
        CPPUNIT_ASSERT_EQUAL(200, send("GET", kept).status);
        CPPUNIT_ASSERT(eventually([&] { return send("GET", kept).status == 404; }));
    }

    void cleans_up_what_is_old() {
        const std::string read = put("read.txt", "12"), unread = put("unread.txt", "123");
        send("GET", read);
        const auto clean = [&](const std::string& body) {
            return send("POST", "/api/storage/cleanup", {}, body).body;
        };
        const std::string only_unread = fmt::format(
            R"("removed":[{{"kind":"file","name":"{}","size":3}}],"count":1,"bytes_freed":3}})",
            unread.substr(11));
        CPPUNIT_ASSERT_EQUAL(R"({"dry_run":true,)" + only_unread,
                             clean(R"({"older_than_days":0,"dry_run":true})"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", unread + "/metadata").status);
        CPPUNIT_ASSERT(clean(R"({"older_than_days":30})").find(R"("count":0)") !=
                       std::string::npos);
        CPPUNIT_ASSERT(clean("{}").find(R"("count":0)") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(R"({"dry_run":false,)" + only_unread,
                             clean(R"({"older_than_days":0,"only_never_downloaded":true})"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", unread).status);
        CPPUNIT_ASSERT(
            clean(R"({"older_than_days":0,"only_never_downloaded":false})").find(read.substr(11)) !=
            std::string::npos);
        CPPUNIT_ASSERT(stored().empty());
        for (const char* bad :
             {R"({"older_than_days":-1})", R"({"older_than_days":"x"})", R"({"dry_run":1})",
              R"({"what":1})", "[]", R"({"keep_backups":0})"}) {
            CPPUNIT_ASSERT_EQUAL("422 invalid-field"s,
                                 outcome("POST", "/api/storage/cleanup", {}, bad));
        }
    }

    void verification_finds_damage() {
        const std::string good = put("good.txt", "good"), bad = put("bad.txt", "evil"),
                          gone = put("gone.txt", "gone");
        const auto path = [&](const std::string& url) {
            return *folder_ / ("files/" + url.substr(11));
        };
        write_file(path(bad), "eviL");
        fs::remove(path(gone));
        CPPUNIT_ASSERT_EQUAL("{\"checked\":1,\"damaged\":[],\"missing\":[]}"s,
                             send("POST", good + "/verify").body);
        const std::string bad_name = bad.substr(11), gone_name = gone.substr(11);
        CPPUNIT_ASSERT_EQUAL(fmt::format(R"({{"checked":3,"damaged":["{}"],"missing":["{}"]}})",
                                         bad_name, gone_name),
                             send("POST", "/api/files/verify").body);
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", bad));
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", gone));
            CPPUNIT_ASSERT_EQUAL(200, send("GET", good).status);
            CPPUNIT_ASSERT_EQUAL("degraded"s, send("GET", "/api/plugins/files").member("state"));
            CPPUNIT_ASSERT(send("GET", "/api/alerts").body.find("files-damaged") !=
                           std::string::npos);
            restart();
        }
        write_file(path(bad), "evil");
        CPPUNIT_ASSERT_EQUAL("{\"checked\":1,\"damaged\":[],\"missing\":[]}"s,
                             send("POST", bad + "/verify").body);
        CPPUNIT_ASSERT_EQUAL("evil"s, send("GET", bad).body);
        write_file(path(good), "longer");  // another size is seen without being asked for
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", gone));
        restart();
        CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", good));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("POST", "/api/files/x/verify"));
    }

    void a_start_finds_strays_and_keeps_them() {
        const std::string url = put("a.txt", "x");
        daemon_->stop();
        write_file(*folder_ / "files/stranger.txt", "mine");
        fs::remove(*folder_ / ("files/" + url.substr(11)));
        start();
        const std::string body = send("GET", "/api/files/storage").body;
        CPPUNIT_ASSERT_MESSAGE(body,
                               body.find(R"("orphans":["stranger.txt"])") != std::string::npos);
        CPPUNIT_ASSERT(body.find(fmt::format(R"("missing":["{}"])", url.substr(11))) !=
                       std::string::npos);
        CPPUNIT_ASSERT(daemon_->wait_for_log("stranger.txt"));
        CPPUNIT_ASSERT_EQUAL("mine"s, read_file(*folder_ / "files/stranger.txt"));
        CPPUNIT_ASSERT_EQUAL("1"s, storage("used_bytes"));
    }

    // What stands there after a kill between two steps, as the README's table has it.
    void a_start_clears_what_a_kill_left() {
        const std::string kept = put("kept.txt", "kept"), doomed = put("doomed.txt", "doomed");
        daemon_->kill();
        const std::string files = *folder_ / "files/";
        write_file(files + ".staging/7", "half");
        write_file(files + ".staging/8", "linked");
        fs::create_hard_link(files + ".staging/8", files + "linked_1.txt");
        fs::create_hard_link(files + kept.substr(11), files + ".staging/9");
        fs::create_hard_link(files + doomed.substr(11), files + ".trash/" + doomed.substr(11));
        start();
        CPPUNIT_ASSERT(stored() == (std::set<std::string>{kept.substr(11), doomed.substr(11)}));
        CPPUNIT_ASSERT_EQUAL("kept"s, send("GET", kept).body);
        CPPUNIT_ASSERT_EQUAL("doomed"s, send("GET", doomed).body);
        send("DELETE", doomed);
        daemon_->kill();
        write_file(files + doomed.substr(11), "doomed");
        fs::create_hard_link(files + doomed.substr(11), files + ".trash/" + doomed.substr(11));
        start();
        CPPUNIT_ASSERT(stored() == (std::set<std::string>{kept.substr(11)}));
        CPPUNIT_ASSERT_EQUAL("4"s, storage("used_bytes"));
    }

    void survives_a_kill() {
        std::vector<std::string> urls;
        for (int i = 0; i < 20; ++i) urls.push_back(put("a.txt", fmt::format("file {}", i)));
        send("DELETE", urls[3]);
        kill_and_start();
        for (int i = 0; i < 20; ++i) {
            const Answer got = send("GET", urls[std::size_t(i)]);
            CPPUNIT_ASSERT_EQUAL(i == 3 ? 404 : 200, got.status);
            if (i != 3) CPPUNIT_ASSERT_EQUAL(fmt::format("file {}", i), got.body);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{19}, stored().size());
        CPPUNIT_ASSERT_EQUAL("19"s, storage("file_count"));
    }

    void takes_the_origins_files() {
        daemon_->stop();
        const std::string name = "document_1640995200.pdf";
        write_file(*folder_ / ("files/" + name), "hello world");
        write_file(*folder_ / "files/files_metadata.json", fmt::format(R"({{
  "files": {{
    "{0}": {{
      "original_name": "report.pdf",
      "filename": "{0}",
      "size": 11,
      "size_mb": 0.0,
      "uploaded_at": "2024-01-01T12:00:00.000Z",
      "mime_type": "application/pdf",
      "hash": "{1}",
      "uploader_ip": "127.0.0.1",
      "download_count": 4,
      "last_accessed": "2024-01-01T12:00:00.000Z"
    }}
  }},
  "total_size": 11,
  "file_count": 1
}})",
                                                                       name, kHello));
        start();
        const Answer got = send("GET", "/api/files/" + name);
        CPPUNIT_ASSERT_EQUAL("hello world"s, got.body);
        CPPUNIT_ASSERT_EQUAL("Mon, 01 Jan 2024 12:00:00 GMT"s, got.header("Last-Modified"));
        put("more.txt", "12345");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string readable = read_file(*folder_ / "files/files_metadata.json");
        CPPUNIT_ASSERT_MESSAGE(readable, readable.starts_with("{\"files\": {\n"));
        CPPUNIT_ASSERT(readable.ends_with("}, \"total_size\": 16, \"file_count\": 2}\n"));
        CPPUNIT_ASSERT_EQUAL("5"s, number(readable, "download_count"));
        start();
        CPPUNIT_ASSERT_EQUAL("2"s, storage("file_count"));
        CPPUNIT_ASSERT_EQUAL(
            "5"s, number(send("GET", "/api/files/" + name + "/metadata").body, "download_count"));
    }

    void tells_how_much_is_stored() {
        put("a.txt", std::string(1048576, 'x'));
        const std::string body = send("GET", "/api/files/storage").body;
        CPPUNIT_ASSERT_EQUAL("1048576"s, number(body, "used_bytes"));
        CPPUNIT_ASSERT_EQUAL("1.00"s, number(body, "used_mb"));
        CPPUNIT_ASSERT_EQUAL("5368709120"s, number(body, "max_bytes"));
        CPPUNIT_ASSERT_EQUAL("5367660544"s, number(body, "available_bytes"));
        CPPUNIT_ASSERT_EQUAL("0.02"s, number(body, "usage_percent"));
        const std::string usage = send("GET", "/api/storage/usage").body;
        CPPUNIT_ASSERT_MESSAGE(usage, usage.find("\"file_store\"") != std::string::npos);
    }

    void large_files_pass_in_little_memory() {
        const auto resident = [&] {
            const std::string status = read_file(fmt::format("/proc/{}/status", daemon_->pid()));
            return std::stol(status.substr(status.find("RssAnon:") + 8));
        };
        const std::string bytes(64U << 20U, 'x');
        put("warm.bin", bytes.substr(0, 1U << 20U));
        const long before = resident();
        const std::string url = put("large.bin", bytes);
        CPPUNIT_ASSERT_EQUAL(bytes.size(), send("GET", url).body.size());
        CPPUNIT_ASSERT_MESSAGE(fmt::format("{} KiB more", resident() - before),
                               resident() - before < 8192);
    }
};

LARDER_TEST_SUITE(FilesTest);

}  // namespace
}  // namespace larder::test
