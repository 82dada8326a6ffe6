// A larderd whose files are looked at, with what tests of files ask of it again and again.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"

namespace larder::test {

// SHA-256 of "hello world".
inline constexpr const char* kHello =
    "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
inline constexpr const char* kHelloDigest =
    "sha-256=:uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=:";

inline std::string form_part(const std::string& name, const std::string& filename,
                             const std::string& bytes) {
    const std::string file = filename.empty() ? "" : fmt::format("; filename=\"{}\"", filename);
    return fmt::format("--XX\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n{}\r\n", name,
                       file, bytes);
}

inline constexpr const char* kForm = "Content-Type: multipart/form-data; boundary=XX\r\n";

class FilesFixture : public DaemonFixture {
protected:
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
        for (const auto& entry : std::filesystem::directory_iterator(*folder_ / "files")) {
            const std::string name = entry.path().filename().string();
            if (name == "files_metadata.json" || name.starts_with("files_metadata.json.")) continue;
            if (!name.starts_with('.')) names.insert(name);
            if (!name.starts_with('.') || name == ".tus") continue;
            for (const auto& inner : std::filesystem::directory_iterator(entry.path())) {
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
};

}  // namespace larder::test
