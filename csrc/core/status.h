// Result of a core function. Nothing in core throws; glue converts a Status to its framework's
// error.
#ifndef FASTCONV_CORE_STATUS_H_
#define FASTCONV_CORE_STATUS_H_

#include <string>
#include <utility>

namespace fastconv {

enum class StatusCode { kOk, kInvalidArgument, kUnimplemented, kResourceExhausted, kInternal };

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status InvalidArgument(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}
inline Status Unimplemented(std::string message) {
  return Status(StatusCode::kUnimplemented, std::move(message));
}

#define FASTCONV_RETURN_IF_ERROR(expression)                                      \
  do {                                                                            \
    if (::fastconv::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

}  // namespace fastconv

#endif  // FASTCONV_CORE_STATUS_H_
