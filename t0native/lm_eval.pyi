from t0native.frameworks.harness import *
