// A larderd whose programs a test uploads and runs, perhaps as another user than the test's. What
// the machine does not allow is found out, and said.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <string_view>

#include "support/command.hpp"
#include "support/daemon_fixture.hpp"
#include "support/json_view.hpp"

namespace larder::test {

class ProgramsFixture : public DaemonFixture {
protected:
    using Object = Poco::JSON::Object::Ptr;

    static std::string form(const std::string& filename, std::string_view bytes,
                            const std::string& project_name = {}) {
        std::string text;
        if (!project_name.empty()) {
            text += fmt::format(
                "--XX\r\nContent-Disposition: form-data; name=\"project_name\"\r\n\r\n{}\r\n",
                project_name);
        }
        text += fmt::format(
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\n",
            filename);
        return text.append(bytes).append("\r\n--XX--\r\n");
    }
    Answer try_upload(const std::string& filename, std::string_view bytes,
                      const std::string& project_name = {}) const {
        return send("POST", "/api/programs", "Content-Type: multipart/form-data; boundary=XX\r\n",
                    form(filename, bytes, project_name));
    }
    // Its id.
    std::string upload(const std::string& filename, std::string_view bytes) const {
        const Answer answer = try_upload(filename, bytes);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        CPPUNIT_ASSERT_EQUAL("/api/programs/" + answer.member("program_id"),
                             answer.header("Location"));
        return answer.member("program_id");
    }
    Answer try_execute(const std::string& id, std::string_view body = {},
                       std::string_view headers = {}) const {
        return send("POST", "/api/programs/" + id + "/execute", headers, body);
    }
    Object execute(const std::string& id, std::string_view body = {}) const {
        const Answer answer = try_execute(id, body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        return object_of(answer.body);
    }
    Object run(const std::string& filename, std::string_view text,
               std::string_view body = {}) const {
        return execute(upload(filename, text), body);
    }
    // Begun, and not waited for.
    long begin(const std::string& id, std::string_view body = {}) const {
        const Answer answer = try_execute(id, body, "Prefer: respond-async\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 202, answer.status);
        const long eid = object_of(answer.body)->getValue<long>("execution_id");
        CPPUNIT_ASSERT_EQUAL(fmt::format("/api/executions/{}", eid), answer.header("Location"));
        return eid;
    }
    Object got(const std::string& target) const {
        const Answer answer = send("GET", target);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 200, answer.status);
        return object_of(answer.body);
    }
    Object execution(long eid) const { return got(fmt::format("/api/executions/{}", eid)); }
    bool reaches(long eid, const std::string& state) const {
        return eventually([&] { return text(execution(eid), "state") == state; });
    }
    static std::string text(const Object& object, const std::string& member) {
        CPPUNIT_ASSERT_MESSAGE(member, object->has(member));
        return object->isNull(member) ? "null" : object->get(member).toString();
    }
    static std::string story(const Object& object) {
        return fmt::format("{} {} {} {}", text(object, "state"), text(object, "return_code"),
                           text(object, "signal"), text(object, "limit_hit"));
    }
    Object isolation() const { return got("/api/programs/languages")->getObject("isolation"); }
    std::string tier() const { return isolation()->getValue<std::string>("tier"); }
    bool is_available(const std::string& language) const {
        const auto all = object_of(send("GET", "/api/programs/languages").body);
        const auto list = all->getArray("languages");
        for (unsigned i = 0; i < list->size(); ++i) {
            const auto one = list->getObject(i);
            if (one->getValue<std::string>("language") == language) {
                return one->getValue<bool>("available");
            }
        }
        return false;
    }
    // True where nothing can be run here: then that is said, and that running is refused.
    bool skips() const {
        if (tier() != "unavailable") return false;
        const Answer answer = try_execute(upload("x.sh", ":"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 503, answer.status);
        CPPUNIT_ASSERT_EQUAL(std::string("sandbox-unavailable"), answer.member("code"));
        CPPUNIT_ASSERT(!answer.member("reason").empty());
        std::cout << "skipped, this machine grants no sandbox: " << answer.member("reason") << '\n';
        return true;
    }
    bool is_alive() const { return send("GET", "/healthz").status == 200; }
};

}  // namespace larder::test
