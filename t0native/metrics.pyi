from t0native.tasks.metrics import *
