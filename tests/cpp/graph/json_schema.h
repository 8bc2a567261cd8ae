// The part of JSON Schema (2020-12) that our schemas use, as a validator for tests. Throws
// std::logic_error for keywords it does not know, so that no rule of a schema goes unchecked.
#pragma once

#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>

namespace tidemark::testing {

class JsonSchema {
 public:
  using Json = nlohmann::json;

  explicit JsonSchema(Json schema) : root_(std::move(schema)) {}

  // Returns the first violation, "" if there is none.
  std::string violation(const Json& document) const { return visit(root_, document, "$"); }

 private:
  static bool has_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    throw std::logic_error("unknown type " + type);
  }

  std::string visit(const Json& schema, const Json& value, const std::string& path) const {
    for (const auto& [word, rule] : schema.items()) {
      const std::string found = apply(schema, word, rule, value, path);
      if (!found.empty()) return found;
    }
    return "";
  }

  std::string apply(const Json& schema, const std::string& word, const Json& rule,
                    const Json& value, const std::string& path) const {
    static const std::set<std::string> kComments = {"$schema", "title", "description", "$defs",
                                                    "additionalProperties"};
    const auto require = [&](bool holds) { return holds ? "" : path + " breaks " + word; };
    if (kComments.count(word) != 0) return "";
    if (word == "$ref") return visit(resolve(rule), value, path);
    if (word == "type") return require(has_type(value, rule));
    if (word == "const") return require(value == rule);
    if (word == "enum") return require(std::find(rule.begin(), rule.end(), value) != rule.end());
    if (word == "minimum") return require(value >= rule);
    if (word == "maximum") return require(value <= rule);
    if (word == "minItems") return require(value.size() >= rule.get<std::size_t>());
    if (word == "maxItems") return require(value.size() <= rule.get<std::size_t>());
    if (word == "pattern") {
      return require(std::regex_search(value.get<std::string>(), std::regex(rule)));
    }
    if (word == "required") return visit_required(rule, value, path);
    if (word == "items") return visit_items(rule, value, path);
    if (word == "properties") return visit_properties(schema, rule, value, path);
    throw std::logic_error("unknown keyword " + word);
  }

  const Json& resolve(const std::string& reference) const {
    return root_.at(Json::json_pointer(reference.substr(1)));
  }

  static std::string visit_required(const Json& rule, const Json& value, const std::string& path) {
    for (const std::string key : rule) {
      if (!value.contains(key)) return path + " lacks " + key;
    }
    return "";
  }

  std::string visit_items(const Json& rule, const Json& value, const std::string& path) const {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const std::string found = visit(rule, value[i], path + "[" + std::to_string(i) + "]");
      if (!found.empty()) return found;
    }
    return "";
  }

  std::string visit_properties(const Json& schema, const Json& rule, const Json& value,
                               const std::string& path) const {
    for (const auto& [key, item] : value.items()) {
      if (!rule.contains(key)) {
        if (schema.value("additionalProperties", true)) continue;
        return path + " has the unknown key " + key;
      }
      const std::string found = visit(rule.at(key), item, path + "." + key);
      if (!found.empty()) return found;
    }
    return "";
  }

  Json root_;
};

}  // namespace tidemark::testing
