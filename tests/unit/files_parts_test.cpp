// The small parts of files that need no daemon: ranges, digests, the quota, records, times.
#include <fmt/format.h>

#include "files_digest.hpp"
#include "files_quota.hpp"
#include "files_record.hpp"
#include "larder/error.hpp"
#include "larder/time.hpp"
#include "storage-kit/byte_range.hpp"
#include "storage-kit/encodings.hpp"
#include "storage-kit/index.hpp"
#include "support/suite.hpp"

namespace larder::files {
namespace {

std::string shown(const storage::Ranges& ranges) {
    if (ranges.kind == storage::Ranges::Kind::whole) return "whole";
    if (ranges.kind == storage::Ranges::Kind::unsatisfiable) return "none";
    std::string text;
    for (const storage::ByteRange& range : ranges.parts) {
        text += fmt::format("{}+{} ", range.first, range.length);
    }
    return text;
}

class FilesPartsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FilesPartsTest);
    CPPUNIT_TEST(reads_ranges);
    CPPUNIT_TEST(reads_digest_fields);
    CPPUNIT_TEST(sums_up);
    CPPUNIT_TEST(keeps_the_quota_exact);
    CPPUNIT_TEST(takes_the_origins_record);
    CPPUNIT_TEST(keeps_records);
    CPPUNIT_TEST_SUITE_END();

public:
    void reads_ranges() {
        const auto of = [](std::string_view header) {
            return shown(storage::parse_ranges(header, 100));
        };
        CPPUNIT_ASSERT_EQUAL(std::string("0+10 "), of("bytes=0-9"));
        CPPUNIT_ASSERT_EQUAL(std::string("90+10 "), of("bytes=90-"));
        CPPUNIT_ASSERT_EQUAL(std::string("95+5 "), of("Bytes=-5"));
        CPPUNIT_ASSERT_EQUAL(std::string("0+100 "), of("bytes=-500"));
        CPPUNIT_ASSERT_EQUAL(std::string("50+50 "), of("bytes=50-99999999999999999999999"));
        CPPUNIT_ASSERT_EQUAL(std::string("0+1 99+1 "), of("bytes=0-0, 99-99,100-,"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), of("bytes=100-"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), of("bytes=-0"));
        for (const char* odd : {"bytes=", "bytes=5-4", "bytes=a-b", "bytes", "lines=0-1", "bytes=-",
                                "bytes=1", "bytes=+1-2", "bytes=1-2x", "bytes= 0 - 9"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(odd, std::string("whole"), of(odd));
        }
        std::string many = "bytes=0-0";
        for (int i = 1; i < 16; ++i) many += fmt::format(",{}-{}", i, i);
        CPPUNIT_ASSERT_EQUAL(std::size_t{16}, storage::parse_ranges(many, 100).parts.size());
        CPPUNIT_ASSERT_EQUAL(std::string("whole"), of(many + ",20-20"));
        CPPUNIT_ASSERT_EQUAL(std::string("none"), shown(storage::parse_ranges("bytes=0-", 0)));
        CPPUNIT_ASSERT_EQUAL(std::string("bytes 5-9/4294967306"),
                             storage::content_range({5, 5}, 4294967306U));
    }

    void reads_digest_fields() {
        const std::string hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        const std::string field = digest_field(hex);
        CPPUNIT_ASSERT_EQUAL(std::string("sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:"),
                             field);
        CPPUNIT_ASSERT_EQUAL(hex, sha256_in(field).value());
        CPPUNIT_ASSERT_EQUAL(hex,
                             sha256_in("md5=:x:, SHA-256 = " + field.substr(8) + ";q=1").value());
        CPPUNIT_ASSERT(!sha256_in("sha-512=:AAAA:"));
        CPPUNIT_ASSERT(!sha256_in(""));
        for (const char* bad :
             {"sha-256=abc", "sha-256=::", "sha-256=:AAAA:", "sha-256",
              "sha-256=:*:", "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0:"}) {
            CPPUNIT_ASSERT_THROW_MESSAGE(bad, sha256_in(bad), Error);
        }
    }

    void sums_up() {
        const auto sum = [](const char* algorithm) {
            const auto checksum = Checksum::of(algorithm);
            checksum->update("1234");
            checksum->update("56789");
            return storage::to_base64(checksum->finish());
        };
        CPPUNIT_ASSERT_EQUAL(std::string("98O8HYCOBHMq32eZZczDTKeuNEE="), sum("sha1"));
        CPPUNIT_ASSERT_EQUAL(std::string("4waSgw=="), sum("crc32c"));  // e3069283
        CPPUNIT_ASSERT_EQUAL(std::size_t{44}, sum("sha256").size());
        CPPUNIT_ASSERT(!Checksum::of("md5"));
    }

    void keeps_the_quota_exact() {
        Quota quota;
        quota.set_limit(100);
        {
            Quota::Reservation a(quota), b(quota);
            a.resize(60);
            CPPUNIT_ASSERT_THROW(b.resize(41), Error);
            CPPUNIT_ASSERT_THROW(quota.demand(41), Error);
            b.cover(40);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, quota.figures().available());
            a.resize(50);
            quota.settle(a, 50);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{50}, quota.figures().used);
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{40}, quota.figures().reserved);
            Quota::Reservation moved(std::move(b));
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{40}, moved.held());
        }
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, quota.figures().reserved);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{50}, quota.figures().available());
        quota.set_limit(10);  // less than there is
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{0}, quota.figures().available());
        CPPUNIT_ASSERT_THROW(quota.demand(1), Error);
    }

    void takes_the_origins_record() {
        const std::string hash(64, 'a');
        const auto document = storage::make_document(
            {1, 5, 5, 0}, "document_1640995200.pdf",
            R"({"original_name":"report.pdf","filename":"document_1640995200.pdf","size":1048576,)"
            R"("size_mb":1.0,"uploaded_at":"2024-01-01T12:00:00","mime_type":"application/pdf",)"
            R"("hash":")" +
                hash +
                R"(","uploader_ip":"127.0.0.1","download_count":3,)"
                R"("last_accessed":"2024-01-02T12:00:00.000Z"})",
            {});
        const auto record = record_of(*document);
        CPPUNIT_ASSERT(record);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1048576}, record->size);
        CPPUNIT_ASSERT_EQUAL(std::string("2024-01-01T12:00:00.000Z"), rfc3339(record->uploaded_ms));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, record->download_count);
        CPPUNIT_ASSERT(!record_of(*storage::make_document({1, 5, 5, 0}, "x", "[]", {})));
        CPPUNIT_ASSERT(!record_of(*storage::make_document({1, 5, 5, 0}, "x", R"({"size":1})", {})));
    }

    void keeps_records() {
        Record record;
        record.filename = "a b_1.txt";
        record.original_name = "a \"b\".txt";
        record.mime_type = "text/plain";
        record.sent_mime_type = "text/csv";
        record.hash = std::string(64, '0');
        record.uploader_ip = "unix:uid=0";
        record.tags = R"({"a":"b"})";
        record.size = 5'000'000'000;
        record.download_count = 7;
        record.uploaded_ms = 1;
        record.accessed_ms = 2;
        record.expires_ms = 3;
        record.damaged_ms = 4;
        const auto again = record_of(*storage::make_document(
            {1, 1, 1, 0}, record.filename, stored_json(record), stored_metadata(record)));
        CPPUNIT_ASSERT(again);
        CPPUNIT_ASSERT_EQUAL(answer_json(record), answer_json(*again));
        CPPUNIT_ASSERT_EQUAL(std::int64_t{4}, again->damaged_ms);
        CPPUNIT_ASSERT(answer_json(record).find(R"("url":"/api/files/a%20b_1.txt")") !=
                       std::string::npos);
        CPPUNIT_ASSERT(is_live(record, 2) && !is_live(record, 3));
        CPPUNIT_ASSERT(is_media_type("text/html; charset=utf-8") && !is_media_type("text") &&
                       !is_media_type("a/b\r\n") && !is_media_type("a/"));
    }
};

LARDER_TEST_SUITE(FilesPartsTest);

}  // namespace
}  // namespace larder::files
