#include "tidemark/plan/relaxation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tidemark {
namespace {

using Vector = std::vector<double>;

// Passes of the scaling that makes the largest entry of every row and column 1 (Ruiz, 2001), and of
// the power iteration that finds the largest singular value.
constexpr int kScalings = 10;
constexpr int kPowers = 30;
// Part of the longest step that surely converges.
constexpr double kStep = 0.95;
// Iterations between two looks at how far it is; a restart is due where the error has fallen to the
// first part of what it was, to the second and rises again, or after the third of all iterations.
constexpr int kLook = 40;
constexpr double kEnough = 0.2;
constexpr double kNecessary = 0.8;
constexpr double kLong = 0.36;
// What rounding may have added to a sum, as a part of the sum of its absolute terms.
constexpr double kRounding = 1e-9;

double norm(const Vector& v) {
  double sum = 0;
  for (double x : v) sum += x * x;
  return std::sqrt(sum);
}

double distance(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Compressed rows.
struct Matrix {
  std::vector<std::size_t> begin;
  std::vector<std::size_t> index;
  Vector entry;

  std::size_t size() const { return begin.size() - 1; }
  void times(const Vector& v, Vector& product) const {
    for (std::size_t r = 0; r < size(); ++r) {
      double sum = 0;
      for (std::size_t i = begin[r]; i < begin[r + 1]; ++i) sum += entry[i] * v[index[i]];
      product[r] = sum;
    }
  }
};

Matrix transposed(const Matrix& rows, std::size_t num_columns) {
  Matrix columns;
  columns.begin.assign(num_columns + 1, 0);
  for (std::size_t c : rows.index) ++columns.begin[c + 1];
  for (std::size_t c = 0; c < num_columns; ++c) columns.begin[c + 1] += columns.begin[c];
  columns.index.resize(rows.index.size());
  columns.entry.resize(rows.index.size());
  std::vector<std::size_t> next(columns.begin.begin(), columns.begin.end() - 1);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = rows.begin[r]; i < rows.begin[r + 1]; ++i) {
      const std::size_t place = next[rows.index[i]]++;
      columns.index[place] = r;
      columns.entry[place] = rows.entry[i];
    }
  }
  return columns;
}

// A point of the programme and of its dual.
struct Point {
  Vector x;
  Vector y;
};

class Solver {
 public:
  explicit Solver(const Milp& programme);
  Relaxation run(int iterations);

 private:
  void scale();
  double largest_singular_value() const;
  void step();
  void look(int iteration);
  double dual(const Vector& y, const Vector& product) const;
  double error(const Point& point);
  void restart(const Point& point, double error);

  Matrix rows_;
  Matrix columns_;
  Vector cost_;
  Vector most_;
  Vector highest_;  // of each column, once scaled
  Vector row_scale_;
  Vector column_scale_;
  double unit_ = 1;  // what a cost of 1 stands for
  double step_ = 1;
  double balance_ = 1;  // of the steps of y to those of x
  Point now_;
  Point sum_;    // since the restart
  Point begin_;  // there
  int num_since_ = 0;
  double begin_error_ = 0;
  double last_error_ = 0;
  double best_ = 0;
  Vector best_x_;
  Vector dual_product_;    // columns times now_.y
  Vector primal_product_;  // for whoever needs one
  Vector other_dual_product_;
  Vector ahead_;
};

Solver::Solver(const Milp& programme) : cost_(programme.cost), most_(programme.most) {
  rows_.begin.assign(programme.row_begin.begin(), programme.row_begin.end());
  rows_.index.assign(programme.column.begin(), programme.column.end());
  rows_.entry = programme.coefficient;
  for (double cost : cost_) unit_ = std::max(unit_, cost);
  for (double& cost : cost_) cost /= unit_;
  scale();
  columns_ = transposed(rows_, cost_.size());
  now_ = {Vector(cost_.size(), 0), Vector(most_.size(), 0)};
  sum_ = now_;
  begin_ = now_;
  best_x_ = now_.x;
  dual_product_.assign(cost_.size(), 0);
  other_dual_product_ = dual_product_;
  ahead_ = dual_product_;
  primal_product_.assign(most_.size(), 0);
  step_ = kStep / std::max(largest_singular_value(), 1e-12);
  const double most = norm(most_);
  if (most > 0 && norm(cost_) > 0) balance_ = norm(cost_) / most;
}

void Solver::scale() {
  row_scale_.assign(most_.size(), 1);
  column_scale_.assign(cost_.size(), 1);
  for (int pass = 0; pass < kScalings; ++pass) {
    Vector row(most_.size(), 0);
    Vector column(cost_.size(), 0);
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      for (std::size_t i = rows_.begin[r]; i < rows_.begin[r + 1]; ++i) {
        const std::size_t c = rows_.index[i];
        const double entry = std::abs(rows_.entry[i]) * row_scale_[r] * column_scale_[c];
        row[r] = std::max(row[r], entry);
        column[c] = std::max(column[c], entry);
      }
    }
    for (std::size_t r = 0; r < row.size(); ++r)
      if (row[r] > 0) row_scale_[r] /= std::sqrt(row[r]);
    for (std::size_t c = 0; c < column.size(); ++c)
      if (column[c] > 0) column_scale_[c] /= std::sqrt(column[c]);
  }
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    for (std::size_t i = rows_.begin[r]; i < rows_.begin[r + 1]; ++i)
      rows_.entry[i] *= row_scale_[r] * column_scale_[rows_.index[i]];
    most_[r] *= row_scale_[r];
  }
  for (std::size_t c = 0; c < cost_.size(); ++c) {
    cost_[c] *= column_scale_[c];
    highest_.push_back(1 / column_scale_[c]);
  }
}

double Solver::largest_singular_value() const {
  Vector v(cost_.size(), 1);
  Vector product(most_.size(), 0);
  double value = 0;
  for (std::size_t c = 0; c < v.size(); c += 2) v[c] = 0.5;  // no eigenvector by chance
  for (int i = 0; i < kPowers; ++i) {
    rows_.times(v, product);
    columns_.times(product, v);
    value = norm(v);
    if (value == 0) return 0;
    for (double& x : v) x /= value;
  }
  return std::sqrt(value);
}

void Solver::step() {
  for (std::size_t c = 0; c < cost_.size(); ++c) {
    const double moved = now_.x[c] - step_ / balance_ * (cost_[c] + dual_product_[c]);
    const double next = std::clamp(moved, 0.0, highest_[c]);
    ahead_[c] = 2 * next - now_.x[c];
    now_.x[c] = next;
    sum_.x[c] += next;
  }
  rows_.times(ahead_, primal_product_);
  for (std::size_t r = 0; r < most_.size(); ++r) {
    now_.y[r] = std::max(0.0, now_.y[r] + step_ * balance_ * (primal_product_[r] - most_[r]));
    sum_.y[r] += now_.y[r];
  }
  columns_.times(now_.y, dual_product_);
  ++num_since_;
}

// What `y` proves.
double Solver::dual(const Vector& y, const Vector& product) const {
  double sum = 0;
  double terms = 0;
  for (std::size_t r = 0; r < y.size(); ++r) {
    sum -= most_[r] * y[r];
    terms += std::abs(most_[r] * y[r]);
  }
  for (std::size_t c = 0; c < cost_.size(); ++c) {
    const double reduced = cost_[c] + product[c];
    if (reduced >= 0) continue;
    sum += reduced * highest_[c];
    terms += (std::abs(cost_[c]) + std::abs(product[c])) * highest_[c];
  }
  return sum - kRounding * terms;
}

// How far a point is from being the best of both programmes; remembers what it proves.
double Solver::error(const Point& point) {
  columns_.times(point.y, other_dual_product_);
  const double proved = dual(point.y, other_dual_product_);
  if (proved > best_) best_ = proved;
  rows_.times(point.x, primal_product_);
  double violated = 0;
  for (std::size_t r = 0; r < most_.size(); ++r) {
    const double over = std::max(0.0, primal_product_[r] - most_[r]);
    violated += over * over;
  }
  double cost = 0;
  for (std::size_t c = 0; c < cost_.size(); ++c) cost += cost_[c] * point.x[c];
  return std::sqrt(balance_ * balance_ * violated + (cost - proved) * (cost - proved));
}

void Solver::restart(const Point& point, double error) {
  if (&point != &now_) now_ = point;
  columns_.times(now_.y, dual_product_);
  const double moved_x = distance(now_.x, begin_.x);
  const double moved_y = distance(now_.y, begin_.y);
  if (moved_x > 0 && moved_y > 0) balance_ = std::sqrt(moved_y / moved_x * balance_);
  begin_ = now_;
  std::ranges::fill(sum_.x, 0);
  std::ranges::fill(sum_.y, 0);
  num_since_ = 0;
  begin_error_ = error;
  last_error_ = error;
}

void Solver::look(int iteration) {
  Point mean = sum_;
  for (double& x : mean.x) x /= num_since_;
  for (double& y : mean.y) y /= num_since_;
  const double of_mean = error(mean);
  const double of_now = error(now_);
  const double least = std::min(of_mean, of_now);
  best_x_ = of_mean < of_now ? mean.x : now_.x;
  const bool is_due = least < kEnough * begin_error_ ||
                      (least < kNecessary * begin_error_ && least > last_error_) ||
                      num_since_ > kLong * iteration;
  last_error_ = least;
  if (is_due) restart(of_mean < of_now ? mean : now_, least);
}

Relaxation Solver::run(int iterations) {
  begin_error_ = error(now_);
  last_error_ = begin_error_;
  for (int i = 1; i <= iterations; ++i) {
    step();
    if (i % kLook == 0) look(i);
  }
  for (std::size_t c = 0; c < best_x_.size(); ++c) best_x_[c] *= column_scale_[c];
  return {.least = best_ * unit_, .solution = best_x_};
}

}  // namespace

Relaxation relax(const Milp& programme, int iterations) {
  return Solver(programme).run(iterations);
}

}  // namespace tidemark
