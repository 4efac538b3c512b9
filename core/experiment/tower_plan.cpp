// SPDX-License-Identifier: BSD-3-Clause
// Plain keys hold for every tower; a sub-table lays its own over them.
#include "experiment/tower_plan.h"

#include "config/dump.h"

#include <array>

namespace foil {
namespace {

// The tables of the towers, which may hold a sub-table per modality or kind.
constexpr std::array<const char*, 4> kTowerTables = {"encoder", "head", "predictor", "model"};

// The options of a table that its plain keys describe: a table under one of these names is a wrong value, not
// a sub-table.
std::vector<std::string> options_of(size_t table, const Node& given, const FindComponent& find) {
  const Node* name = given.find("name");
  std::vector<FieldDoc> docs;
  if (table == 0 && name && name->is_text()) {
    docs = describe(find("encoder", name->text(), name->origin.text()).describe);
  } else if (table > 0) {
    docs = describe([&](Fields& f) {
      if (table == 1) HeadOptions().describe(f);
      if (table == 2) PredictorOptions().describe(f);
      if (table == 3) ModelOptions().describe(f);
    });
  }
  std::vector<std::string> keys;
  for (const FieldDoc& doc : docs) keys.push_back(doc.key);
  return keys;
}

// A table of the file: its plain keys, and its sub-tables by name.
struct Given {
  Node plain;
  std::vector<std::pair<std::string, Node>> sub;
  bool there = false;
};

Given split(size_t table, const Node* given, const FindComponent& find) {
  Given all;
  if (!given) return all;
  all.there = true;
  all.plain = *given;
  const std::vector<std::string> options = options_of(table, *given, find);
  for (const auto& [key, value] : given->table()) {
    if (!value.is_table() || std::find(options.begin(), options.end(), key) != options.end()) continue;
    all.plain.erase(key);
    all.sub.emplace_back(key, value);
  }
  return all;
}

// What the sub-table `name` says, on top of the plain keys; of an encoder of its own the plain keys are
// another's.
Node overlaid(const Given& table, const std::string& name) {
  Node all = table.plain;
  for (const auto& [key, own] : table.sub) {
    if (key != name) continue;
    const Node *chosen = own.find("name"), *plain = all.find("name");
    if (chosen && !(plain && shown(*plain) == shown(*chosen))) all.value = Node::Table{};
    for (const auto& [option, value] : own.table()) all.set(option, value);
    all.origin = own.origin;
  }
  return all;
}

// One tower from its four tables, which are empty nodes where the file has none.
TowerPlan read_tower(Tables& tables, const std::string& name, const std::array<Node, 4>& given,
                     const FindComponent& find) {
  TowerPlan tower;
  tower.name = name;
  std::array<Node, 4> read;
  const auto node = [&](size_t i) { return given[i].is_table() ? &given[i] : nullptr; };
  read[0] = tables.choose(node(0), tower.table("encoder"), "encoder", "", find, tower.encoder);
  tower.encoder.make<Encoder>();
  read[1] = tables.options(node(1), tower.table("head"), tower.head);
  read[2] = tables.options(node(2), tower.table("predictor"), tower.predictor);
  read[3] = tables.options(node(3), tower.table("model"), tower.model);
  for (size_t i = 0; i < kTowerTables.size(); ++i) {
    if (name.empty()) {
      tables.resolved.set(kTowerTables[i], read[i]);
    } else {
      Node* whole = tables.resolved.find(kTowerTables[i]);
      (whole ? *whole : tables.resolved.set(kTowerTables[i], Node{Node::Table{}, {}, {}})).set(name, read[i]);
    }
  }
  tower.head.check(tower.table("head"));
  return tower;
}

}  // namespace

void read_towers(Tables& tables, const FindComponent& find, Plan& plan) {
  std::array<Given, 4> whole;
  std::vector<std::pair<std::string, std::string>> names;  // of the sub-tables, with their places
  for (size_t i = 0; i < kTowerTables.size(); ++i) {
    whole[i] = split(i, tables.find(kTowerTables[i]), find);
    for (const auto& [key, value] : whole[i].sub) {
      const auto same = [name = key](const auto& known) { return known.first == name; };
      if (std::none_of(names.begin(), names.end(), same))
        names.emplace_back(key, value.key_origin.text() + ": [" + kTowerTables[i] + "." + key + "]");
    }
  }
  const auto given = [&](const std::string& name) {
    std::array<Node, 4> tower;
    for (size_t i = 0; i < whole.size(); ++i)
      if (whole[i].there) tower[i] = overlaid(whole[i], name);
    return tower;
  };
  // Where every encoder is of a sub-table, there need be no plain one.
  if (names.empty() || (whole[0].there && !whole[0].plain.table().empty()))
    plan.tower = read_tower(tables, "", given(""), find);
  for (const auto& [name, place] : names) {
    plan.towers.push_back(read_tower(tables, name, given(name), find));
    plan.towers.back().place = place;
  }
}

const TowerPlan& tower_plan(const Plan& plan, const std::string& modality, Kind kind) {
  for (const std::string& name : {modality, std::string(name_of(kind))})
    for (const TowerPlan& tower : plan.towers)
      if (tower.name == name) return tower;
  return plan.tower;
}

}  // namespace foil
